"""Waiting for a job: one task however many wait, the row as the truth, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.unit.services.desk import Desk
from tiro.model.errors import NotFound, Transient
from tiro.model.job import Job
from tiro.ports import Records, Transaction
from tiro.services.waiting import SOON_S, Waits

PATIENCE_S = 20.0


class Temporal:
    """Says that a run is over when it is told to; counts who asks."""

    def __init__(self, *, known: bool = True) -> None:
        self.known, self.away = known, False
        self.asked = 0
        self.asking = 0
        self.finished = asyncio.Event()
        self.asked_once = asyncio.Event()

    async def over(self, job_id: str, run: int) -> bool:
        self.asked += 1
        self.asked_once.set()
        if self.away:
            raise Transient("temporal_unavailable")
        if not self.known:
            return False
        self.asking += 1
        try:
            await self.finished.wait()
        finally:
            self.asking -= 1
        return True


class Counted:
    """Records that may be away, and count their transactions."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.begun, self.away = 0, False

    @contextlib.asynccontextmanager
    async def look(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        if self.away:
            raise Transient("database_unavailable")
        async with self._records.look() as tx:
            yield tx


def _waits(desk: Desk, temporal: Temporal) -> tuple[Waits, Counted]:
    counted = Counted(desk.records)
    return Waits(counted, temporal), counted  # type: ignore[arg-type]  # what waiting needs of both


async def _running(desk: Desk) -> Job:
    job = await desk.queued(await desk.account())
    await desk.dispatch.once()
    begun = await desk.line.begin(job.job_id, 1, "claim")
    assert begun is not None
    return begun


async def _nobody_waits(waits: Waits) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while waits.waiting or [task for task in asyncio.all_tasks() if task.get_name().startswith("wait ")]:
            await asyncio.sleep(0)


async def test_many_wait_by_one_question(desk: Desk) -> None:
    """Two hundred callers, one long poll; each hears of the end."""
    temporal, job = Temporal(), await _running(desk)
    waits, _ = _waits(desk, temporal)
    callers = [asyncio.create_task(waits.ended(job, PATIENCE_S)) for _ in range(200)]
    await temporal.asked_once.wait()
    assert (waits.waiting, temporal.asked) == ({job.job_id: 200}, 1)
    await desk.endings.end(job.job_id, 1, "cancelled")
    temporal.finished.set()
    assert {ended.state for ended in await asyncio.gather(*callers)} == {"cancelled"}
    assert temporal.asked == 1
    await _nobody_waits(waits)


async def test_what_has_ended_is_not_asked_about(desk: Desk) -> None:
    temporal, job = Temporal(), await _running(desk)
    waits, counted = _waits(desk, temporal)
    await desk.endings.end(job.job_id, 1, "cancelled")
    ended = await desk.jobs.get(job.job_id)
    assert await waits.ended(ended, PATIENCE_S) is ended
    assert (await waits.ended(job, PATIENCE_S)).state == "cancelled"
    assert (temporal.asked, counted.begun) == (0, 1)


@pytest.mark.parametrize("away", [False, True], ids=["not begun there", "away"])
async def test_a_run_that_temporal_cannot_tell_of_is_seen_in_the_row(desk: Desk, away: bool) -> None:
    """Asked again and again, slower and slower, and never as fast as it answers."""
    temporal, job = Temporal(known=False), await _running(desk)
    temporal.away = away
    waits, counted = _waits(desk, temporal)
    began = asyncio.get_running_loop().time()
    caller = asyncio.create_task(waits.ended(job, PATIENCE_S))
    async with asyncio.timeout(PATIENCE_S):
        while temporal.asked < 3:
            await asyncio.sleep(0.01)
    assert asyncio.get_running_loop().time() - began >= 3 * SOON_S - 0.05
    assert counted.begun <= temporal.asked + 1
    await desk.endings.end(job.job_id, 1, "cancelled")
    assert (await caller).state == "cancelled"


async def test_the_row_is_believed_while_temporal_says_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that comes from elsewhere is seen although the long poll goes on."""
    monkeypatch.setattr("tiro.services.waiting.LOOK_S", 0.05)
    temporal, job = Temporal(), await _running(desk)
    waits, _ = _waits(desk, temporal)
    caller = asyncio.create_task(waits.ended(job, PATIENCE_S))
    await temporal.asked_once.wait()
    await desk.endings.end(job.job_id, 1, "cancelled")
    assert (await caller).state == "cancelled"
    await _nobody_waits(waits)
    assert temporal.asking == 0


async def test_a_run_that_is_over_without_an_end_is_not_asked_about_in_a_hurry(desk: Desk) -> None:
    """Terminated behind our back: upkeep will write its end."""
    temporal, job = Temporal(), await _running(desk)
    temporal.finished.set()
    waits, counted = _waits(desk, temporal)
    stood = await waits.ended(job, within_s=3 * SOON_S)
    assert stood.state == "processing"
    assert counted.begun <= 6


async def test_who_waits_too_long_hears_where_it_stands(desk: Desk) -> None:
    temporal, job = Temporal(), await desk.queued(await desk.account())
    waits, _ = _waits(desk, temporal)
    caller = asyncio.create_task(waits.ended(job, within_s=0.3))
    await temporal.asked_once.wait()
    await desk.dispatch.once()
    await desk.line.begin(job.job_id, 1, "claim")
    assert (await caller).state == "processing"
    await _nobody_waits(waits)


async def test_a_database_that_is_away_ends_no_wait(desk: Desk) -> None:
    """What was known is told, and later what is so."""
    temporal, job = Temporal(), await _running(desk)
    waits, counted = _waits(desk, temporal)
    counted.away = True
    assert await waits.ended(job, within_s=0.1) == job
    caller = asyncio.create_task(waits.ended(job, PATIENCE_S))
    await desk.endings.end(job.job_id, 1, "cancelled")
    counted.away = False
    temporal.finished.set()
    assert (await caller).state == "cancelled"


async def test_who_goes_away_stops_nothing_for_the_others(desk: Desk) -> None:
    """And the last one who goes takes the question along."""
    temporal, job = Temporal(), await _running(desk)
    waits, _ = _waits(desk, temporal)
    first, second = [asyncio.create_task(waits.ended(job, PATIENCE_S)) for _ in range(2)]
    await temporal.asked_once.wait()
    first.cancel()
    await asyncio.wait([first])
    assert (waits.waiting, temporal.asking) == ({job.job_id: 1}, 1)
    second.cancel()
    await asyncio.wait([second])
    await _nobody_waits(waits)
    assert temporal.asking == 0
    temporal.finished.set()
    await desk.endings.end(job.job_id, 1, "cancelled")
    assert (await waits.ended(job, PATIENCE_S)).state == "cancelled"


async def test_a_job_that_is_deleted_meanwhile_is_none(desk: Desk) -> None:
    temporal, job = Temporal(), await _running(desk)
    waits, _ = _waits(desk, temporal)
    caller = asyncio.create_task(waits.ended(job, PATIENCE_S))
    await temporal.asked_once.wait()
    await desk.jobs.delete(job.job_id)
    await desk.jobs.delete(job.job_id)
    temporal.finished.set()
    with pytest.raises(NotFound, match="no such job"):
        await caller


async def test_who_waits_when_the_process_ends_is_told_how_the_job_stands(desk: Desk) -> None:
    """At once, and so is who comes then."""
    temporal, job = Temporal(), await _running(desk)
    waits, _ = _waits(desk, temporal)
    callers = [asyncio.create_task(waits.ended(job, PATIENCE_S)) for _ in range(3)]
    await temporal.asked_once.wait()
    waits.let_go()
    assert {told.state for told in await asyncio.gather(*callers)} == {"processing"}
    assert (await waits.ended(job, PATIENCE_S)).state == "processing"
    await _nobody_waits(waits)
