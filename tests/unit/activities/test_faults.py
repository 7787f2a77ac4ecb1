"""What does Temporal learn of an error? A code of fixed text and whether to try again: no cause, no address, no word."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.faults import Faults, Told
from activities.tasks import AttemptTask, Run, TranscribeTask
from tiro.adapters.temporal.converter import DATA_CONVERTER
from tiro.model.errors import MediaRefused, Permanent, QuotaExceeded, SourceRefused, Transient
from tiro.model.wallet import FundsShort
from tiro.services.line import LOST_ATTEMPTS, STALE_TRANSIENTS, stale_after

SECRET = "https://store.example/recording?signature=canary"
RUN = Run("job_1", 1)


class CountingLine:
    """Counts failures as the record does; `away`: the database does not answer."""

    def __init__(self, *, away: bool = False) -> None:
        self.counted: list[tuple[str, int, str, int, str]] = []
        self.begun = 0
        self._away = away

    async def attempt_begins(self, job_id: str, run: int, index: int, *, station: str) -> bool:
        self.begun += 1
        return self.begun > LOST_ATTEMPTS

    async def attempt_ended(self, job_id: str, run: int, index: int, *, station: str) -> None:
        self.begun = 0

    async def is_stale(self, job_id: str, run: int, index: int, *, station: str, code: str) -> bool:
        if self._away:
            raise Transient("database_unavailable")
        self.counted.append((job_id, run, station, index, code))
        return self.counted.count(self.counted[-1]) >= stale_after(code)


class Station(ActivityInboundInterceptor):
    """The activity itself: raises what it is told to."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the SDK's name)
        return await self._work()


async def told(error: BaseException, line: CountingLine | None = None, task: Any = RUN) -> ApplicationError:
    """What Temporal is told of this error."""

    async def work() -> None:
        try:
            raise OSError(SECRET)
        except OSError as cause:
            raise error from cause

    return await _outcome(work, line or CountingLine(), task, ActivityEnvironment())


async def _outcome(
    work: Callable[[], Awaitable[Any]], line: CountingLine, task: Any, environment: ActivityEnvironment
) -> ApplicationError:
    environment.info = dataclasses.replace(environment.info, activity_type="ingest")
    translating = Faults(line).intercept_activity(Station(work))  # type: ignore[arg-type]
    given = ExecuteActivityInput(fn=work, args=[task], executor=None, headers={})

    async def run() -> None:
        await translating.execute_activity(given)

    with pytest.raises(ApplicationError) as raised:
        await environment.run(run)
    return raised.value


ERRORS = [
    (MediaRefused("empty_audio", SECRET), "invalid_audio", True),
    (SourceRefused("http_status", SECRET), "source_unavailable", True),
    (QuotaExceeded(message=SECRET), "quota_exceeded", True),
    (FundsShort(message=SECRET), "insufficient_funds", True),
    (Permanent("engine_refused", SECRET), "engine_refused", True),
    (Transient("source_timeout", SECRET), "source_timeout", False),
    (RuntimeError(SECRET), "internal_error", False),
    (KeyError(SECRET), "internal_error", False),
    (ExceptionGroup(SECRET, [Transient(), Permanent("engine_refused", SECRET)]), "engine_refused", True),
    (ExceptionGroup(SECRET, [ExceptionGroup(SECRET, [Transient("source_timeout")])]), "source_timeout", False),
]


@pytest.mark.parametrize(("error", "code", "final"), ERRORS, ids=lambda value: getattr(value, "code", str(type(value))))
async def test_every_error_becomes_a_code_of_fixed_text_without_a_cause(
    error: Exception, code: str, final: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure as it travels holds nothing of the message or of what caused it; the log neither."""
    with caplog.at_level("DEBUG"):
        seen = await told(error)
    assert caplog.text
    assert "canary" not in caplog.text
    assert (seen.type, seen.message, seen.non_retryable) == (code, code, final)
    assert msgspec.convert(seen.details[0], Told).passing is not final
    failure = Failure()
    DATA_CONVERTER.failure_converter.to_failure(seen, DATA_CONVERTER.payload_converter, failure)
    assert b"canary" not in failure.SerializeToString()
    assert not failure.HasField("cause")


async def test_a_language_that_an_engine_does_not_know_goes_to_the_next_engine_at_once() -> None:
    """Final for this engine, passing for the chain, and no alarm."""
    seen = await told(Transient("unsupported_language"))
    assert seen.non_retryable
    assert msgspec.convert(seen.details[0], Told).passing
    assert seen.category is ApplicationErrorCategory.BENIGN


async def test_what_the_owner_did_wrong_is_no_alarm_for_the_operator() -> None:
    """Refused recordings, addresses, quotas and empty wallets are benign; the rest is not."""
    assert (await told(MediaRefused("empty_audio"))).category == ApplicationErrorCategory.BENIGN
    assert (await told(FundsShort())).category == ApplicationErrorCategory.BENIGN
    assert (await told(Permanent("engine_refused"))).category == ApplicationErrorCategory.UNSPECIFIED


async def test_the_third_passing_failure_of_one_kind_is_for_good() -> None:
    """And still counts as passing, so that another engine may be tried."""
    line = CountingLine()
    seen = [await told(Transient("engine_crash"), line) for _ in range(3)]
    assert [one.non_retryable for one in seen] == [False, False, True]
    assert msgspec.convert(seen[-1].details[0], Told).passing


async def test_failures_are_counted_by_station_and_index_and_code() -> None:
    """Another span or another code begins anew."""
    line = CountingLine()
    task = TranscribeTask(
        job_id="job_1", run=2, plan="plan", spans=(7, 8), engine="first", accept=(), language=None
    )  # fmt: skip
    await told(Transient("engine_crash"), line, task)
    await told(RuntimeError(), line, task)
    assert line.counted == [("job_1", 2, "ingest", 7, "engine_crash"), ("job_1", 2, "ingest", 7, "internal_error")]


@pytest.mark.parametrize("code", ["database_unavailable", "store_unavailable", "store_full", "temporal_unavailable"])
async def test_our_own_rooms_being_away_is_not_counted(code: str) -> None:
    """However often: it is tried until they are back."""
    line = CountingLine()
    seen = [await told(Transient(code), line) for _ in range(5)]
    assert not any(one.non_retryable for one in seen)
    assert line.counted == []


async def test_a_failure_that_cannot_be_counted_is_tried_again() -> None:
    """The database being away must not make an error final."""
    assert not (await told(Transient(), CountingLine(away=True))).non_retryable


async def test_what_belongs_to_no_run_is_never_final_for_being_frequent() -> None:
    """A delivery has its own schedule."""
    line = CountingLine()
    seen = [await told(Transient(), line, AttemptTask("evt_1", 1, None)) for _ in range(4)]
    assert not any(one.non_retryable for one in seen)
    assert line.counted == []


async def test_the_log_says_whose_station_failed_and_at_which_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """An owner's mistake is no warning."""
    with caplog.at_level("INFO", "tiro.activities"):
        await told(Transient("source_timeout"))
        await told(SourceRefused("http_status"))
        await told(Transient("timeout"), task=AttemptTask("evt_1", 1, None))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "station ingest, job job_1 run 1 index 0, attempt 1: source_timeout (Transient)"),
        ("INFO", "station ingest, job job_1 run 1 index 0, attempt 1: source_unavailable (SourceRefused)"),
        ("WARNING", "station ingest, workflow test, attempt 1: timeout (Transient)"),
    ]


async def test_the_sdk_warns_of_what_nobody_translated(caplog: pytest.LogCaptureFixture) -> None:
    """Such as an activity that this worker does not know; what was translated has its line already."""
    for error in (ApplicationError("not registered", type="NotFoundError"), await told(Transient("engine_crash"))):
        with contextlib.suppress(ApplicationError):
            try:
                raise error
            except ApplicationError:
                activity.logger.warning("Completing activity as failed", exc_info=True)
                raise
    said = [record for record in caplog.records if record.name == "temporalio.activity"]
    assert [record.exc_info[1].type for record in said] == ["NotFoundError"]


async def test_a_stopping_worker_hands_its_attempt_back_and_nothing_is_counted() -> None:
    """Cancelled by its worker: tried again at once, elsewhere."""
    environment, line = ActivityEnvironment(), CountingLine()

    async def work() -> None:
        environment.worker_shutdown()
        raise asyncio.CancelledError

    seen = await _outcome(work, line, RUN, environment)
    assert (seen.type, seen.non_retryable) == ("WorkerShutdown", False)
    assert line.counted == []


def _second_attempt() -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=2, heartbeat_timeout=timedelta(seconds=6))
    return environment


async def test_a_station_whose_attempts_never_end_by_themselves_is_given_up() -> None:
    """Ten in a row took their worker with them: it is not asked an eleventh time."""
    line = CountingLine()
    line.begun = LOST_ATTEMPTS
    asked: list[None] = []

    async def work() -> None:
        asked.append(None)

    seen = await _outcome(work, line, RUN, _second_attempt())
    assert (seen.type, seen.non_retryable) == ("station_dies", True)
    assert asked == []


async def test_an_attempt_that_ends_in_whatever_way_is_not_a_lost_one() -> None:
    """After a failure the lost ones are counted anew."""
    line = CountingLine()
    line.begun = LOST_ATTEMPTS - 1

    async def work() -> None:
        raise Transient

    seen = await _outcome(work, line, RUN, _second_attempt())
    assert not seen.non_retryable
    assert line.begun == 0


async def test_a_cancel_stays_a_cancel() -> None:
    """Told by the workflow, not by a worker that stops."""

    async def work() -> None:
        raise asyncio.CancelledError

    async def run() -> None:
        translating = Faults(CountingLine()).intercept_activity(Station(work))  # type: ignore[arg-type]
        await translating.execute_activity(ExecuteActivityInput(fn=work, args=[RUN], executor=None, headers={}))

    with pytest.raises(asyncio.CancelledError):
        await ActivityEnvironment().run(run)


async def test_an_engine_that_is_busy_is_asked_again_when_it_says_so_however_often() -> None:
    """Its rate is nobody's input's fault."""
    line = CountingLine()
    for _ in range(STALE_TRANSIENTS + 1):
        error = await told(Transient("engine_busy", retry_after_s=7.0), line)
        assert not error.non_retryable
        assert error.next_retry_delay == timedelta(seconds=7)
    assert line.counted == []
