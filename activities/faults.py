"""What Temporal is told of an error: a code and whether to try again, never a cause, a path, an address or a word.

One interceptor turns every exception of every activity into an ApplicationError of fixed text; details go to the log, redacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

import msgspec
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tiro.model.errors import MediaRefused, Permanent, QuotaExceeded, SourceRefused, TiroError, Transient, frames_of
from tiro.model.wallet import FundsShort
from tiro.services.line import Line, Superseded

log = logging.getLogger("tiro.activities")

UNCOUNTED = {
    *("database_unavailable", "store_unavailable", "store_full", "temporal_unavailable"),
    *("scratch_full", "decoder_unavailable", "engine_busy", "engine_stopped", "fetch_under_way"),
}
"""Our own rooms being away, full or at it already, or an engine with much to do, is nobody's input's fault: tried until that is over."""

NEXT = {"unsupported_language"}
"""Of no use to try here again; the next engine of the chain may."""
_USUAL = {"fetch_under_way", *NEXT}
"""Nor is a run that waits for its own fetch ahead anybody's fault: no warning."""
_THEIRS = (MediaRefused, SourceRefused, QuotaExceeded, FundsShort, Superseded)
"""The submitter's own, or nobody's."""


class Told(msgspec.Struct, frozen=True):
    """The detail of an ApplicationError. `passing`: it was Transient, so another engine may be tried."""

    code: str
    passing: bool
    reason: str | None = None
    extras: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)


class Reported(ApplicationError):
    """What Temporal is told; the log has a line of it already."""


class Faults(Interceptor):
    """Installs the translation in a worker, and keeps the SDK from logging a second time what was translated."""

    def __init__(self, line: Line) -> None:
        self._line = line
        activity.logger.base_logger.addFilter(_is_news)  # once, however many workers

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 (the SDK's name)
        """Wrap every activity."""
        return _Translating(next, self._line)


class _Translating(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, line: Line) -> None:
        super().__init__(following)
        self._line = line

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the SDK's name)
        again = activity.info().attempt > 1 and activity.info().heartbeat_timeout is not None
        try:
            if again and await self._died_too_often(input):
                raise Permanent("station_dies", "This station ends its worker, time and again.")
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():
                raise _shutdown() from None
            raise
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (this is the one place where all errors are translated)
            told, final, benign = await self._told(first_of(error), input)
        finally:
            if again:
                await self._ended_by_itself(input)
        raise _as_told(told, final=final, benign=benign)

    async def _died_too_often(self, task: ExecuteActivityInput) -> bool:
        """An attempt that is followed by another without having ended by itself took its process with it, or was starved."""
        run = run_of(task)
        return run is not None and await self._line.attempt_begins(*run, station=activity.info().activity_type)

    async def _ended_by_itself(self, task: ExecuteActivityInput) -> None:
        run = run_of(task)
        if run is not None:
            with contextlib.suppress(Transient):
                await self._line.attempt_ended(*run, station=activity.info().activity_type)

    async def _told(self, error: Exception, task: ExecuteActivityInput) -> tuple[Told, bool, bool]:
        """(what is told, non-retryable, benign)."""
        if isinstance(error, TiroError):
            told = Told(error.code, error.again, error.extras.get("reason"), plain(error.extras))
            benign = isinstance(error, _THEIRS) or told.code in _USUAL
            level = logging.INFO if benign else logging.WARNING
            log.log(level, "%s: %s (%s)", _place(task), error.code, type(error).__name__)
        else:
            told, benign = Told("internal_error", passing=True), False
            # by type and place, never by its words: these may be the recording's
            log.error("%s: unexpected %s\n%s", _place(task), type(error).__name__, frames_of(error))
        if not told.passing:
            return told, True, benign
        if told.code in UNCOUNTED:
            return told, False, benign
        return told, told.code in NEXT or await self._is_stale(task, told.code), benign

    async def _is_stale(self, task: ExecuteActivityInput, code: str) -> bool:
        run = run_of(task)
        if run is None:
            return False
        try:
            return await self._line.is_stale(*run, station=activity.info().activity_type, code=code)
        except Transient:
            return False


def first_of(error: Exception) -> Exception:
    """Out of a group: the first error that is for good, else the first."""
    if not isinstance(error, ExceptionGroup):
        return error
    inner = [first_of(one) for one in error.exceptions]
    return next((one for one in inner if isinstance(one, TiroError) and not one.again), inner[0])


def run_of(task: ExecuteActivityInput) -> tuple[str, int, int] | None:
    """(job, run, index) of a station's input, or None for what belongs to no run."""
    argument = task.args[0] if task.args else None
    job_id, run = getattr(argument, "job_id", None), getattr(argument, "run", None)
    if not isinstance(job_id, str) or not isinstance(run, int):
        return None
    return job_id, run, int(getattr(argument, "index", 0))


def _place(task: ExecuteActivityInput) -> str:
    """Where it happened: the station, whose it was, and which attempt; ids alone."""
    info, run = activity.info(), run_of(task)
    whose = f"job {run[0]} run {run[1]} index {run[2]}" if run else f"workflow {info.workflow_id}"
    return f"station {info.activity_type}, {whose}, attempt {info.attempt}"


def _is_news(record: logging.LogRecord) -> bool:
    """The SDK warns of every failed attempt with a traceback; of what was told here that is the interceptor's own, and says nothing."""
    return not (record.exc_info and isinstance(record.exc_info[1], Reported))


def plain(extras: dict[str, Any]) -> dict[str, str | int | float | bool | None]:
    """Those that may travel."""
    return {name: value for name, value in extras.items() if isinstance(value, str | int | float | bool | None)}


def _shutdown() -> ApplicationError:
    return ApplicationError(
        "WorkerShutdown",
        type="WorkerShutdown",
        next_retry_delay=timedelta(milliseconds=100),
        category=ApplicationErrorCategory.BENIGN,
    )


def _as_told(told: Told, *, final: bool, benign: bool) -> Reported:
    category = ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED
    wait_s = told.extras.get("retry_after_s")
    return Reported(
        told.code,
        msgspec.to_builtins(told),
        type=told.code,
        non_retryable=final,
        next_retry_delay=timedelta(seconds=max(1.0, wait_s)) if isinstance(wait_s, int | float) else None,
        category=category,
    )
