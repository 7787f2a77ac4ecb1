"""Where each activity runs, how long it may take, and how it is tried again: one table, and the one way to run a station."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

import msgspec
from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.faults import Told
    from tiro.adapters.temporal import names

T = TypeVar("T")
_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""No maximum of attempts: an error is for good when the activity says so, and only then."""


class Station(msgspec.Struct, frozen=True):
    """Queue (None: local, on the control worker), seconds per attempt, and seconds without a heartbeat."""

    queue: str | None
    start_to_close_s: float
    heartbeat_s: float | None = None


STATIONS: dict[str, Station] = {
    "begin": Station(None, 20),
    "note": Station(None, 20),
    "fetch": Station(names.ADDRESSES, 6 * 3600, 6),
    "fetch_ahead": Station(names.ADDRESSES, 6 * 3600, 6),
    "ingest": Station(names.MEDIA, 6 * 3600, 6),
    "detect": Station(names.SPEECH, 600, 6),
    "transcribe": Station(names.SPEECH, 3600, 6),
    "diarize": Station(names.VOICES, 6 * 3600, 6),
    "merge": Station(names.CONTROL, 600, 6),
    "publish": Station(names.CONTROL, 600, 6),
    "finish": Station(names.CONTROL, 600, 6),
    "settle": Station(names.CONTROL, 120, 6),
    "begin_batch": Station(None, 20),
    "check_manifest": Station(names.CONTROL, 600, 6),
    "fetch_pack": Station(names.ADDRESSES, 6 * 3600, 6),
    "ingest_pack": Station(names.MEDIA, 6 * 3600, 6),
    "transcribe_pack": Station(names.SPEECH, 3600, 6),
    "open_files": Station(names.CONTROL, 120),
    "await_file": Station(names.CONTROL, 24 * 3600, 6),
    "close_file": Station(names.CONTROL, 120),
    "finish_page": Station(names.CONTROL, 600, 6),
    "finish_batch": Station(names.CONTROL, 3600, 6),
    "sweep": Station(names.CONTROL, 600, 6),
    "attempt": Station(names.DELIVER, 60, 6),
}


async def run_station(
    activity: Callable[..., Awaitable[T]], *args: Any, summary: str = "", priority: int | None = None
) -> T:
    """Run an activity as the table says. Cancelling waits until it has really ended: nothing writes behind a cleanup.

    `priority` None: that of the run.
    """
    name = activity.__name__
    station = STATIONS[name]
    if station.queue is None:
        local: T = await workflow.execute_local_activity(
            name,
            args=args,
            start_to_close_timeout=timedelta(seconds=station.start_to_close_s),
            retry_policy=_RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            result_type=_result_type(activity),
        )
        return local
    result: T = await workflow.execute_activity(
        name,
        args=args,
        task_queue=station.queue,
        start_to_close_timeout=timedelta(seconds=station.start_to_close_s),
        heartbeat_timeout=timedelta(seconds=station.heartbeat_s) if station.heartbeat_s else None,
        retry_policy=_RETRY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        result_type=_result_type(activity),
        summary=summary or None,
        priority=urgency(priority),
    )
    return result


def urgency(priority: int | None) -> Priority:
    """Of what is scheduled now. None: that of whoever schedules it."""
    return Priority.default if priority is None else Priority(priority_key=priority)


def check_priority(priority: int) -> None:
    """Of an update that asks for it."""
    if not 1 <= priority <= 5:
        raise ValueError("a priority is 1 to 5")


async def fan_out(works: AsyncIterator[Awaitable[T]], limit: int) -> list[T]:
    """Run works beside each other, at most `limit` at once; a work is asked for when there is a place for it.

    The first failure ends the others and is raised itself, never as a group.
    """
    places = asyncio.Semaphore(limit)
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            await places.acquire()
            async for work in works:
                tasks.append(group.create_task(_placed(work, places)))
                await places.acquire()
    except BaseExceptionGroup as failed:
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError from None
        first = unwrapped(failed)
        raise first from first.__cause__  # what an activity said is its cause: it must stay
    return [task.result() for task in tasks]


async def together(*works: Awaitable[Any]) -> list[Any]:
    """Run all of these beside each other; failures as in `fan_out`."""

    async def each() -> AsyncIterator[Awaitable[Any]]:
        for work in works:
            yield work

    return await fan_out(each(), len(works) + 1)


def unwrapped(error: BaseException) -> BaseException:
    """Out of a group: what failed, not what was cancelled because of it; of several, what an activity said for good."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [unwrapped(one) for one in error.exceptions]
    failed = [one for one in inner if not is_cancelled_exception(one)] or inner
    return next((one for one in failed if told_of(one) is not None), failed[0])


def told_of(error: BaseException) -> Told | None:
    """What an activity's failure says, or None when it is no failure of an activity."""
    cause = error.cause if isinstance(error, ActivityError) else error
    if not isinstance(cause, ApplicationError):
        return None
    if cause.details and isinstance(cause.details[0], dict):
        return msgspec.convert(cause.details[0], Told)
    return Told(cause.type or "internal_error", passing=False)


async def _placed(work: Awaitable[T], places: asyncio.Semaphore) -> T:
    try:
        return await work
    finally:
        places.release()


def _result_type(activity: Callable[..., Awaitable[Any]]) -> Any:
    return get_type_hints(activity).get("return")
