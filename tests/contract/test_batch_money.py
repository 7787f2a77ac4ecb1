"""Whatever becomes of a batch, run after run: is each file paid once at most, and only with a run that did not fail?"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.contract.records_nouns import account as a_business
from tests.contract.records_nouns import given
from tests.servers.databases import SteppedClock
from tests.unit.services.desk import PLANS, Desk
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.account import Account
from tiro.model.audit import Finding
from tiro.model.batch import BatchFile
from tiro.model.job import Job
from tiro.model.wallet import Balance, FundsShort, cost_micros
from tiro.services.audit_books import BookAudit
from tiro.services.batch_line import BatchLine
from tiro.services.ending import Fault

pytestmark = pytest.mark.promise("T3", "T12")

PRICE = 150_000
"""An hour's."""
CREDIT = 60_000
FILES = st.integers(0, 2)
_names = itertools.count(1)


class Till:
    """One batch of three files, told what its stations tell."""

    def __init__(self, records: SqlRecords, clock: SteppedClock, job_id: str = "job_1") -> None:
        self.desk = Desk(records, clock)
        self.line = BatchLine(records, clock, PLANS, self.desk.endings)
        self.books = BookAudit(records, clock)
        self.job_id = job_id
        self.run = 1

    async def begin(self, credit: int = CREDIT) -> Account:
        account = a_business(f"acct_{self.job_id}", "business")
        await given(self.desk.records, account)
        await self.desk.wallets.credit(account.account_id, credit, "")
        await self.desk.queued(account, self.job_id, dialect="transcribe", files_total=3, micros_per_hour=PRICE)
        await self.claim()
        return account

    async def claim(self) -> None:
        await self.desk.dispatch.once()
        assert await self.desk.line.begin(self.job_id, self.run, f"claim-{self.run}") is not None
        await self.line.hold_again(self.job_id, self.run)

    async def heard(self, seconds: dict[int, int]) -> None:
        await self.line.prepare(self.job_id, self.run, seconds)
        await self.settle("completed", seconds)

    async def settle(self, state: Any, seconds: dict[int, int]) -> None:
        await self.line.settle(
            [
                BatchFile(job_id=self.job_id, index=index, run=self.run, state=state, seconds=length, pack="p")
                for index, length in seconds.items()
            ]
        )

    async def end(self, outcome: Any) -> Job:
        fault = Fault("batch_too_large") if outcome == "failed" else None
        return (await self.desk.endings.end(self.job_id, self.run, outcome, fault)).job

    async def retry(self) -> None:
        self.run = (await self.desk.jobs.retry(self.job_id)).run

    async def wrong(self) -> list[Finding]:
        return await self.books.look(None, Counter())


@pytest.fixture
def till(records: SqlRecords, clock: SteppedClock) -> Till:
    return Till(records, clock)


async def test_what_failed_midway_costs_nothing_and_its_retry_pays_all_of_it_once(till: Till) -> None:
    """The charged files of runs that ended otherwise stay as they are."""
    account = await till.begin()
    await till.heard({0: 600, 1: 709})
    assert (await till.wrong(), (await till.desk.wallets.balance(account.account_id)).balance_micros) == ([], CREDIT)
    failed = await till.end("failed")
    assert (failed.billed_s, failed.cost_micros, failed.balance_micros) == (0, 0, CREDIT)
    assert await till.wrong() == []
    await till.retry()
    assert await till.wrong() == []
    await till.claim()
    assert await till.desk.wallets.balance(account.account_id) == Balance(CREDIT, cost_micros(1309, PRICE))
    await till.settle("failed", {2: 0})
    done = await till.end("completed")
    assert (done.billed_s, done.cost_micros) == (1309, cost_micros(1309, PRICE))
    await till.retry()
    await till.claim()
    await till.heard({2: 1})
    last = await till.end("completed")
    assert (last.billed_s, last.cost_micros) == (1310, cost_micros(1309, PRICE) + cost_micros(1, PRICE))
    assert await till.wrong() == []


async def test_what_was_completed_before_is_paid_when_the_next_run_is_cancelled(till: Till) -> None:
    await till.begin()
    await till.heard({0: 600})
    await till.end("failed")
    await till.retry()
    await till.claim()
    cancelled = await till.end("cancelled")
    assert (cancelled.billed_s, cancelled.cost_micros, await till.wrong()) == (600, 25_000, [])


async def test_a_run_that_is_cancelled_before_it_held_costs_nothing_and_holds_nothing_any_more(till: Till) -> None:
    """Its first station may still be on its way."""
    account = await till.begin()
    await till.heard({0: 600})
    await till.end("failed")
    await till.retry()
    assert (await till.end("cancelled")).cost_micros == 0
    await till.line.hold_again(till.job_id, till.run)
    assert await till.desk.wallets.balance(account.account_id) == Balance(CREDIT, 0)
    assert await till.wrong() == []


async def test_a_retry_that_the_wallet_does_not_pay_is_not_begun(till: Till) -> None:
    """And is paid by the one after it, when there is money again."""
    account = await till.begin(30_000)
    await till.heard({0: 600})
    await till.end("failed")
    await till.desk.queued(account, "job_2", dialect="transcribe", micros_per_hour=PRICE)
    async with till.desk.records.begin() as tx:
        await tx.wallets.hold(account.account_id, "job_2", 1, 300, PRICE, till.desk.clock.now())
    await till.retry()
    with pytest.raises(FundsShort):
        await till.claim()
    await till.end("failed")
    await till.desk.wallets.credit(account.account_id, 30_000, "")
    await till.retry()
    await till.claim()
    await till.settle("failed", {1: 0, 2: 0})
    assert (await till.end("completed")).cost_micros == 25_000
    assert await till.wrong() == []


class Life(RuleBasedStateMachine):
    """Any order of what may happen to a batch; `paid`: the files whose run did not fail, and what they came to."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.state = "processing"
        self.lengths: dict[int, int] = {}
        self.failed: set[int] = set()
        self.paid: dict[int, int] = {}
        self.cost = 0

    @initialize()
    def a_batch_of_its_own(self) -> None:
        async def begun() -> None:
            clock = SteppedClock()
            self.till = Till(open_records(self.url, clock), clock, f"job_{next(_names)}")
            self.account = await self.till.begin()

        self.runner.run(begun())

    @precondition(lambda self: self.state == "processing")
    @rule(index=FILES, seconds=st.integers(1, 900))
    def heard(self, index: int, seconds: int) -> None:
        if index in self.lengths or index in self.failed:
            return
        try:
            refused = self.runner.run(self.till.line.prepare(self.till.job_id, self.till.run, {index: seconds}))
        except FundsShort:
            refused = {index}
        if refused:
            self.refused(index)
        else:
            self.lengths[index] = seconds
            self.runner.run(self.till.settle("completed", {index: seconds}))

    @precondition(lambda self: self.state == "processing")
    @rule(index=FILES)
    def refused(self, index: int) -> None:
        if index not in self.lengths:
            self.failed.add(index)
            self.runner.run(self.till.settle("failed", {index: 0}))

    @precondition(lambda self: self.state == "processing")
    @rule(outcome=st.sampled_from(["completed", "completed", "failed", "failed", "cancelled"]))
    def end(self, outcome: str) -> None:
        if outcome == "completed":
            for index in range(3):
                self.refused(index)
            outcome = outcome if self.lengths else "failed"
        job = self.runner.run(self.till.end(outcome))
        if outcome != "failed":
            self.cost += cost_micros(sum(self.lengths.values()) - sum(self.paid.values()), PRICE)
            self.paid = dict(self.lengths)
        self.state = outcome
        assert (job.billed_s, job.cost_micros) == (sum(self.paid.values()), self.cost)

    @precondition(lambda self: self.state != "processing")
    @rule(index=FILES)
    def told_too_late(self, index: int) -> None:
        self.runner.run(self.till.line.hold_again(self.till.job_id, self.till.run))
        self.runner.run(self.till.heard({index: 900}))

    @precondition(lambda self: self.state == "failed" or (self.state == "completed" and self.failed))
    @rule()
    def retry(self) -> None:
        self.failed.clear()
        self.runner.run(self.till.retry())
        try:
            self.runner.run(self.till.claim())
        except FundsShort:
            self.runner.run(self.till.end("failed"))
            self.state = "failed"
        else:
            self.state = "processing"

    @invariant()
    def nothing_else_was_charged(self) -> None:
        balance = self.runner.run(self.till.desk.wallets.balance(self.account.account_id))
        assert balance.balance_micros == CREDIT - self.cost
        assert self.state == "processing" or balance.held_micros == 0

    def teardown(self) -> None:
        assert self.runner.run(self.till.wrong()) == []
        self.runner.run(self.till.desk.records.close())
        self.runner.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_file_is_paid_once_at_most_whatever_becomes_of_its_runs(kind: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[kind]))
    machine = type("LifeHere", (Life,), {"url": url})
    few = settings(max_examples=6, stateful_step_count=12, deadline=None, database=None, derandomize=True,
                   suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(machine, settings=few)
