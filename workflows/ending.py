"""How a run goes to its end, whatever happens on the way, and what follows: marks for those who search, and a delivery by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from temporalio import workflow
from temporalio.common import Priority, SearchAttributeUpdate
from temporalio.exceptions import WorkflowAlreadyStartedError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.faults import Told
    from activities.flow import Flow
    from activities.tasks import SettledAs, SettleTask
    from tiro.adapters.temporal import names
    from tiro.model.job import Outcome
    from tiro.ports import Launch
    from workflows.stations import run_station, told_of

T = TypeVar("T")


class Finished(msgspec.Struct, frozen=True):
    """How the run ended."""

    job: str
    outcome: str


async def to_its_end(
    launch: Launch, begin: Awaitable[T | None], stations: Callable[[T], Awaitable[SettledAs]], end: Callable[[], None]
) -> Finished:
    """Begin, the stations, settle, deliver: ends with settle, whatever happened; a cancelled run cleans up and stays cancelled.

    `stations` gets what `begin` said (None: this run is not wanted any more), and settles when all goes well. `end`: it is over.
    """
    try:
        brief = await begin
        if brief is None:
            return Finished(launch.job_id, "superseded")
        settled = await stations(brief)
    except GeneratorExit:
        raise  # thrown away with its worker, outside of any workflow: there is nothing to settle
    except BaseException as error:
        if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
            await _follow(await settle(launch, "cancelled"), end)
            raise asyncio.CancelledError from None  # that of an activity or a child would fail the run
        told = told_of(error)
        if told is None:
            raise
        settled = await settle(launch, "cancelled" if told.code == "superseded" else "failed", told)
    await _follow(settled, end)
    await workflow.wait_condition(workflow.all_handlers_finished)
    return Finished(launch.job_id, settled.outcome)


async def settle(launch: Launch, outcome: Outcome, told: Told | None = None) -> SettledAs:
    """End the run; one that is being ended ends as it was going to, though it be cancelled meanwhile."""
    settling = asyncio.create_task(run_station(Flow.settle, settle_task(launch, outcome, told)))
    try:
        return await asyncio.shield(settling)
    except asyncio.CancelledError:
        return await settling


def settle_task(launch: Launch, outcome: Outcome, told: Told | None) -> SettleTask:
    """Only what failed has a code."""
    if told is None or outcome != "failed":
        return SettleTask(job_id=launch.job_id, run=launch.run, outcome=outcome)
    return SettleTask(
        job_id=launch.job_id, run=launch.run, outcome=outcome, code=told.code, reason=told.reason, extras=told.extras
    )


def mark_end(settled: SettledAs) -> None:
    """One upsert: status, error code, decoded seconds."""
    updates: list[SearchAttributeUpdate[Any]] = [names.STATUS.value_set(settled.outcome)]
    if settled.error_code:
        updates.append(names.ERROR_CODE.value_set(settled.error_code))
    if settled.decoded_s is not None:
        updates.append(names.AUDIO_SECONDS.value_set(round(settled.decoded_s)))
    workflow.upsert_search_attributes(updates)


async def deliver(settled: SettledAs) -> None:
    """Start the delivery and leave it alone: a dead receiver never keeps a job from finishing."""
    if settled.delivery is None:
        return
    try:
        await workflow.start_child_workflow(
            "Delivery",
            settled.delivery,
            id=names.delivery_workflow_id(settled.delivery.event_id),
            task_queue=names.CONTROL,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            priority=Priority(priority_key=3, fairness_key=settled.host),
            static_summary="deliver",
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.debug("the delivery was started before")


async def _follow(settled: SettledAs, end: Callable[[], None]) -> None:
    end()
    mark_end(settled)
    await deliver(settled)
