"""Does any order of submissions, holds, ends, retries and cancels, with repetitions, races and crashes, leave the books balanced?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.contract.records_nouns import account, given, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.errors import Conflict, QuotaExceeded
from tiro.model.ledger import Charge, Entry, HoldTerms, Usage
from tiro.model.replay import Replay
from tiro.ports import Transaction

pytestmark = pytest.mark.promise("J21", "J22", "J23")

T = TypeVar("T")
MONTH = "2026-03"
QUOTA_S = 1000
JOBS = st.integers(0, 4)
SECONDS = st.integers(0, 700)
TERMS = st.sampled_from(
    [HoldTerms(quota_s=QUOTA_S, overage_micros_per_minute=price) for price in (None, None, 7, 40_000)]
)
TIMES = st.lists(st.booleans(), min_size=1, max_size=3)
"""The same call so often, at once; True: that process dies before its commit."""
_names = itertools.count(1)


class Crash(Exception):
    """The process dies before its commit."""


class Books(RuleBasedStateMachine):
    """One account, a few jobs, and everybody calling."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.records = self.runner.run(self._open())
        self.account_id = ""
        self.runs: dict[int, int] = {}
        self.overage_agreed = False

    async def _open(self) -> SqlRecords:
        return open_records(self.url, SteppedClock())

    @initialize()
    def an_account_of_its_own(self) -> None:
        self.account_id = f"acct_{next(_names)}"
        self.runner.run(given(self.records, account(self.account_id)))

    def _job(self, number: int) -> tuple[str, int]:
        """A job and its present run."""
        return f"{self.account_id}_{number}", self.runs.get(number, 1)

    def _at_once(self, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        ends = self.runner.run(together())
        assert all(_expected(end) for end in ends), ends
        return ends

    async def _within(self, work: Callable[[Transaction], Awaitable[T]], crash: bool) -> T:
        async with self.records.begin() as tx:
            done = await work(tx)
            if crash:
                raise Crash
        return done

    async def _submit(self, number: int, seconds: int, terms: HoldTerms, crash: bool) -> None:
        """One of several requests with the same Idempotency-Key: who writes the answer holds the seconds."""
        job_id, _ = self._job(number)

        async def submit(tx: Transaction) -> None:
            if await tx.replays.add(Replay(job_id, "fingerprint", b"{}", START), START.replace(year=2000)):
                await tx.ledger.hold(self.account_id, job_id, 1, seconds, MONTH, terms, START)

        await self._within(submit, crash)

    async def _hold(self, number: int, seconds: int, terms: HoldTerms, crash: bool = False) -> Entry:
        job_id, run = self._job(number)
        return await self._within(
            lambda tx: tx.ledger.hold(self.account_id, job_id, run, seconds, MONTH, terms, START), crash
        )

    async def _extend(self, number: int, seconds: int, terms: HoldTerms, crash: bool) -> Entry:
        job_id, run = self._job(number)
        return await self._within(lambda tx: tx.ledger.extend(job_id, run, seconds, terms, START), crash)

    async def _capture(self, number: int, seconds: int, terms: HoldTerms, crash: bool = False) -> Charge:
        job_id, run = self._job(number)
        return await self._within(lambda tx: tx.ledger.capture(job_id, run, seconds, terms, START), crash)

    async def _release(self, number: int, crash: bool = False) -> None:
        job_id, run = self._job(number)
        await self._within(lambda tx: tx.ledger.release(job_id, run, START), crash)

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, crashes=TIMES)
    def submit(self, number: int, seconds: int, terms: HoldTerms, crashes: list[bool]) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        self._at_once(*(self._submit(number, seconds, terms, crash) for crash in crashes))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, crashes=TIMES)
    def hold(self, number: int, seconds: int, terms: HoldTerms, crashes: list[bool]) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        self._at_once(*(self._hold(number, seconds, terms, crash) for crash in crashes))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, crashes=TIMES)
    def extend(self, number: int, seconds: int, terms: HoldTerms, crashes: list[bool]) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        self._at_once(*(self._extend(number, seconds, terms, crash) for crash in crashes))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, crashes=TIMES)
    def complete(self, number: int, seconds: int, terms: HoldTerms, crashes: list[bool]) -> None:
        charges = self._at_once(*(self._capture(number, seconds, terms, crash) for crash in crashes))
        assert len({charge for charge in charges if isinstance(charge, Charge)}) <= 1

    @rule(number=JOBS, crashes=TIMES)
    def fail(self, number: int, crashes: list[bool]) -> None:
        self._at_once(*(self._release(number, crash) for crash in crashes))

    @rule(number=JOBS, heard=SECONDS, seconds=SECONDS, terms=TERMS, crashes=TIMES)
    def cancel(self, number: int, heard: int, seconds: int, terms: HoldTerms, crashes: list[bool]) -> None:
        """For the share that was heard, or for nothing, while a worker completes it."""
        calls = [
            self._capture(number, heard, terms, crash) if heard else self._release(number, crash) for crash in crashes
        ]
        self._at_once(*calls, self._capture(number, seconds, terms))

    @rule(number=JOBS, crashes=TIMES)
    def retry(self, number: int, crashes: list[bool]) -> None:
        """Of a job that failed, and only of one: what it held is given back, and a new run begins."""
        job_id, _ = self._job(number)
        self._at_once(*(self._release(number, crash) for crash in (*crashes, False)))
        if not [entry for entry in self._entries() if (entry.job_id, entry.kind) == (job_id, "capture")]:
            self.runs[number] = self.runs.get(number, 1) + 1

    @rule(numbers=st.lists(JOBS, min_size=2, max_size=5), seconds=SECONDS, terms=TERMS)
    def everybody(self, numbers: list[int], seconds: int, terms: HoldTerms) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        calls: list[Coroutine[Any, Any, Any]] = []
        for number in numbers:
            calls += [self._hold(number, seconds, terms), self._capture(number, seconds, terms), self._release(number)]
        self._at_once(*calls)

    @invariant()
    def the_books_balance(self) -> None:
        usage, entries = self.runner.run(within(self.records, self._read))
        assert min(usage.used_s, usage.held_s, usage.overage_used_s, usage.overage_held_s, usage.overage_micros) >= 0
        assert usage.used_s + usage.held_s <= QUOTA_S
        assert self.overage_agreed or usage.overage_used_s + usage.overage_held_s == 0
        assert usage == _summed(entries)
        holds = {(entry.job_id, entry.run): entry for entry in entries if entry.kind == "hold"}
        for entry in entries:
            hold = holds[entry.job_id, entry.run]
            assert entry.included_s <= hold.included_s
            assert entry.overage_s <= hold.overage_s
            # what lies inside the plan is used up before anything is charged
            assert entry.overage_s == 0 or entry.included_s == hold.included_s

    @invariant()
    def no_job_is_charged_twice(self) -> None:
        """However often it was handed in, ended, cancelled and retried, and whoever died over it."""
        charged = [entry.job_id for entry in self._entries() if entry.kind == "capture"]
        assert len(charged) == len(set(charged))

    def _entries(self) -> list[Entry]:
        return self.runner.run(within(self.records, lambda tx: tx.ledger.entries(self.account_id, MONTH)))

    async def _read(self, tx: Any) -> tuple[Usage, list[Entry]]:
        return await tx.ledger.usage(self.account_id, MONTH), await tx.ledger.entries(self.account_id)

    def teardown(self) -> None:
        self.runner.run(self.records.close())
        self.runner.close()


def _expected(end: object) -> bool:
    if isinstance(end, Conflict):
        return end.code == "no_hold"
    return isinstance(end, (QuotaExceeded, Crash)) or not isinstance(end, BaseException)


def _summed(entries: list[Entry]) -> Usage:
    """The balance that the entries tell."""
    closed = {(entry.job_id, entry.run) for entry in entries if entry.kind != "hold"}
    captures = [entry for entry in entries if entry.kind == "capture"]
    open_holds = [entry for entry in entries if entry.kind == "hold" and (entry.job_id, entry.run) not in closed]
    assert len(closed) == len([entry for entry in entries if entry.kind != "hold"])
    return Usage(
        MONTH,
        used_s=sum(entry.included_s for entry in captures),
        held_s=sum(entry.included_s for entry in open_holds),
        overage_used_s=sum(entry.overage_s for entry in captures),
        overage_held_s=sum(entry.overage_s for entry in open_holds),
        overage_micros=sum(entry.amount_micros for entry in captures),
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_interleaving_leaves_the_books_balanced(kind: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[kind]))
    machine = type("BooksHere", (Books,), {"url": url})
    few = settings(max_examples=30, stateful_step_count=15, deadline=None, database=None, derandomize=True,
                   suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(machine, settings=few)
