"""What does it mean that a run ends exactly once? State, charge, slot and event change together, whoever asks and however often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import msgspec
import pytest

from tests.unit.services.desk import HOOK, PLAN, PLANS, Desk
from tiro.model.errors import NotFound
from tiro.ports import Records, Transaction
from tiro.render.times import time_text
from tiro.services.ending import Endings, Fault, Settled


async def test_a_completed_job_is_charged_for_decoded_seconds_rounded_up_and_gives_its_slot_back(desk: Desk) -> None:
    """Hold, capture, nothing held any more."""
    account = await desk.account()
    await desk.running(account, decoded_s=119.2)
    settled = await desk.endings.end("job_1", 1, "completed")
    assert (settled.job.state, settled.job.billed_s) == ("completed", 120)
    assert await desk.kinds(account) == [(1, "capture", 120), (1, "hold", 120)]
    assert (await desk.usage(account)).held_s == 0
    assert await desk.slots(account) == 0


async def test_settling_twice_is_settling_once(desk: Desk) -> None:
    """The second one is told how it had ended, and the delivery that still waits."""
    account = await desk.account()
    await desk.running(account, webhook_url=HOOK)
    first = await desk.endings.end("job_1", 1, "completed")
    desk.clock.step(60)
    second = await desk.endings.end("job_1", 1, "failed", Fault("invalid_audio", "decode_failed"))
    assert second.job.state == "completed"
    assert second.job.ended_at == first.job.ended_at
    assert second.delivery == first.delivery
    assert len(await desk.deliveries()) == 1
    assert await desk.kinds(account) == [(1, "capture", 120), (1, "hold", 120)]
    assert await desk.slots(account) == 0


async def test_of_all_who_end_a_run_at_once_one_decides(desk: Desk) -> None:
    """A cancel, a failure and a completion in one moment: one state, one charge, one event, one slot."""
    account = await desk.account()
    await desk.running(account, webhook_url=HOOK)
    endings: list[Settled] = await asyncio.gather(
        desk.endings.end("job_1", 1, "completed"),
        desk.endings.end("job_1", 1, "failed", Fault("transient_error", "lost")),
        desk.endings.end("job_1", 1, "cancelled"),
    )
    assert len({settled.job.state for settled in endings}) == 1
    assert len(await desk.deliveries()) == 1
    assert len(await desk.kinds(account)) == 2
    assert await desk.slots(account) == 0


@pytest.mark.promise("J23")
async def test_a_failed_job_costs_nothing(desk: Desk) -> None:
    """Its hold is released."""
    account = await desk.account()
    await desk.running(account)
    failed = (await desk.endings.end("job_1", 1, "failed", Fault("invalid_audio", "decode_failed"))).job
    assert (failed.error_code, failed.error_reason, failed.billed_s) == ("invalid_audio", "decode_failed", 0)
    assert await desk.kinds(account) == [(1, "hold", 120), (1, "release", 120)]
    assert (await desk.usage(account)).used_s == 0


async def test_a_cancelled_job_costs_the_share_that_was_heard(desk: Desk) -> None:
    """One span of four, rounded down."""
    account = await desk.account()
    await desk.running(account, decoded_s=121.0)
    await desk.line.span_done("job_1", 1, PLAN, 2)
    cancelled = (await desk.endings.end("job_1", 1, "cancelled")).job
    assert cancelled.billed_s == 30
    assert (await desk.usage(account)).used_s == 30
    assert (await desk.usage(account)).held_s == 0


async def test_a_job_that_never_began_is_cancelled_for_nothing(desk: Desk) -> None:
    """No hold, no charge, no start order left."""
    account = await desk.account()
    await desk.queued(account)
    settled = await desk.endings.end("job_1", 1, "cancelled")
    assert settled.job.billed_s == 0
    await desk.dispatch.once()
    assert desk.orchestrator.launched == {}


@pytest.mark.promise("J24")
async def test_the_owner_is_told_a_code_of_the_api_and_not_what_broke_inside(desk: Desk) -> None:
    """Codes of ours become a passing error with the code as its reason."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    settled = await desk.endings.end("job_1", 1, "failed", Fault("parts_incomplete"))
    assert (settled.job.error_code, settled.job.error_reason) == ("transient_error", "parts_incomplete")
    assert settled.delivery is not None
    assert desk.event(settled.delivery)["error"] == "transient_error"


async def test_the_event_is_written_before_its_row_and_ordered_with_it(desk: Desk) -> None:
    """Its body lies in the store, its id is in it, and the relay will start its delivery."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    settled = await desk.endings.end("job_1", 1, "completed")
    assert settled.delivery is not None
    event = desk.event(settled.delivery)
    assert event["id"] == settled.delivery.event_id
    assert (event["event"], event["status"]) == ("job.completed", "completed")
    assert await desk.orders() == [("delivery", "job_1")]


async def test_each_run_has_an_event_of_its_own(desk: Desk) -> None:
    """A retry that fails again tells of it again, under another id."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    await desk.begun("job_1", run=2)
    await desk.endings.end("job_1", 2, "failed", Fault("transient_error"))
    ids = [delivery.event_id for delivery, _ in await desk.deliveries()]
    assert len(set(ids)) == 2


async def test_a_run_that_was_superseded_ends_nothing(desk: Desk) -> None:
    """What the first run still says after the retry has begun is too late."""
    account = await desk.account()
    await desk.running(account)
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    await desk.begun("job_1", run=2)
    late = await desk.endings.end("job_1", 1, "completed")
    assert (late.job.run, late.job.state) == (2, "processing")
    assert late.delivery is None
    assert [(run, kind) for run, kind, _ in await desk.kinds(account)] == [(1, "hold"), (1, "release"), (2, "hold")]
    assert await desk.slots(account) == 1


async def test_there_is_no_end_without_a_job(desk: Desk) -> None:
    """An unknown id."""
    with pytest.raises(NotFound):
        await desk.endings.end("job_0", 1, "completed")


async def test_an_ending_wakes_who_gives_free_slots_away(desk: Desk) -> None:
    """The next job in line does not wait for the relay's next look."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "completed")
    assert desk.rung == 1


class Meanwhile:
    """Records in which something happens before the second transaction begins."""

    def __init__(self, records: Records, happens: Callable[[], Awaitable[object]]) -> None:
        self._records, self._happens, self._begun = records, happens, 0

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        self._begun += 1
        if self._begun == 2:
            await self._happens()
        async with self._records.begin() as tx:
            yield tx

    async def now(self) -> datetime:
        return await self._records.now()

    async def close(self) -> None:
        await self._records.close()


async def test_a_run_that_begins_while_it_is_cancelled_does_not_end_before_it_began(desk: Desk) -> None:
    """The job and its event have the same times, whichever transaction came first."""
    await desk.queued(await desk.account(), webhook_url=HOOK)
    await desk.dispatch.once()

    async def begins() -> None:
        desk.clock.step(5)
        await desk.line.begin("job_1", 1, "claim")

    meanwhile = Meanwhile(desk.records, begins)
    endings = Endings(
        meanwhile, desk.blobs, desk.clock, PLANS, lambda: None, public_url="https://tiro.example", passes=desk.passes
    )
    settled = await endings.end("job_1", 1, "cancelled")
    job, delivery = settled.job, settled.delivery
    assert delivery is not None
    assert job.started_at is not None
    assert job.ended_at == job.started_at
    assert msgspec.json.decode(desk.blobs.get(delivery.body.key))["completed_at"] == time_text(job.ended_at)


async def test_a_run_begun_by_a_clock_that_is_ahead_does_not_end_before_it_began(desk: Desk) -> None:
    """Workers' clocks differ; a duration is never negative."""
    job = await desk.running(await desk.account())
    desk.clock.step(-30)
    ended = (await desk.endings.end("job_1", 1, "completed")).job
    assert ended.ended_at == job.started_at
