"""Do runs of one account that are prepared, heard and ended at once, at two processes, ever wait for each other crosswise?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.contract.records_nouns import two_processes
from tests.servers.databases import SteppedClock
from tests.unit.services.desk import PLANS, Desk
from tiro.model.batch import BatchFile
from tiro.model.blob import transcript_key
from tiro.model.job import Job
from tiro.model.media import Span, SpanPlan
from tiro.model.wallet import Balance
from tiro.services.billing import Billing
from tiro.services.ending import Fault, Settled
from tiro.services.line import Superseded

MONEY: dict[str, Any] = {"dialect": "transcribe", "micros_per_hour": 150_000}
JOBS = 10
FILES = 12
PLAN = SpanPlan("plan", "mono", (Span(0, 0, 0.0, 60.0, ((0.0, 60.0),)),), decoded_s=60.0)


async def _begun(desk: Desk, account: Any, job_id: str, **fields: Any) -> Job:
    desk.blobs.put(transcript_key(job_id), b"{}")
    await desk.queued(account, job_id, **(MONEY | fields))
    async with desk.records.begin() as tx:
        await tx.jobs.admit(desk.clock.now(), {"business": 50})
        job = await tx.jobs.claim(job_id, 1, "claim", desk.clock.now())
    assert job is not None
    return job


async def _end(desk: Desk, job_id: str, outcome: Any) -> Settled:
    return await desk.endings.end(job_id, 1, outcome, Fault("invalid_audio") if outcome == "failed" else None)


async def _prepared(desk: Desk, job: Job) -> None:
    try:
        await desk.line.prepared(job, PLAN)
    except Superseded:
        return


@pytest.mark.promise("T3")
@pytest.mark.parametrize("purse", ["wallet", "minutes"])
async def test_jobs_that_are_prepared_and_ended_at_once_wait_in_one_order(
    postgres_url: str, clock: SteppedClock, purse: str
) -> None:
    """A deadlock would end one of them as an error. Each is charged once or not at all, and nothing stays held."""
    async with two_processes(postgres_url, clock) as (one, other):
        desks = Desk(one, clock), Desk(other, clock)
        desks[1].blobs = desks[0].blobs
        account = await desks[0].account("business")
        await desks[0].wallets.credit(account.account_id, 10**9, "")
        for turn in range(2):
            fields = {"dialect": "jobs", "micros_per_hour": None} if purse == "minutes" else {}
            begun = [await _begun(desks[0], account, f"job_{turn}_{n}", **fields) for n in range(JOBS)]
            calls: list[Coroutine[Any, Any, Any]] = []
            for n, job in enumerate(begun):
                calls += [_prepared(desks[n % 2], job)]
                calls += [_end(desks[(n + k) % 2], job.job_id, ("cancelled", "failed")[k]) for k in range(2)]
            await asyncio.gather(*calls)
        balance, usage = await desks[0].wallets.balance(account.account_id), await desks[0].usage(account)
        assert (balance, usage.used_s, usage.held_s) == (Balance(10**9), 0, 0)
        assert await desks[0].slots(account) == 0


@pytest.mark.promise("T8")
async def test_the_files_of_a_batch_are_paid_while_it_is_cancelled(postgres_url: str, clock: SteppedClock) -> None:
    """In whatever order: what it cost is what its completed files cost, and nothing stays held."""
    async with two_processes(postgres_url, clock) as (one, other):
        desks = Desk(one, clock), Desk(other, clock)
        account = await desks[0].account("business")
        await desks[0].wallets.credit(account.account_id, 10**9, "")
        await _begun(desks[0], account, "job_1", files_total=FILES)

        async def heard(desk: Desk, index: int) -> None:
            async with desk.records.begin() as tx:
                await Billing(PLANS).prepare_files(tx, "job_1", 1, {index: 600}, clock.now())
            async with desk.records.begin() as tx:
                file = BatchFile(job_id="job_1", index=index, run=1, state="completed", seconds=600, pack="p")
                await tx.batches.settle([file])

        half = FILES // 2
        await asyncio.gather(*(heard(desks[n % 2], n) for n in range(half)))
        await asyncio.gather(
            *(heard(desks[n % 2], n) for n in range(half, FILES)), _end(desks[1], "job_1", "cancelled")
        )
        job = await desks[0].job()
        async with desks[0].records.begin() as tx:
            tally = await tx.batches.tally("job_1", 1)
        assert tally.completed >= half
        assert (job.billed_s, job.cost_micros) == (tally.completed_s, tally.completed * 25_000)
        assert await desks[0].wallets.balance(account.account_id) == Balance(10**9 - tally.completed * 25_000, 0)
