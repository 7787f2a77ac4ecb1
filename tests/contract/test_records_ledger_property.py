"""Does any order of holds, extensions, captures and releases, with repetitions and races, leave the books balanced?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.contract.records_nouns import account, given, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.errors import Conflict, QuotaExceeded
from tiro.model.ledger import Charge, Entry, HoldTerms, Usage

MONTH = "2026-03"
QUOTA_S = 1000
JOBS = st.integers(0, 4)
SECONDS = st.integers(0, 700)
TERMS = st.sampled_from(
    [HoldTerms(quota_s=QUOTA_S, overage_micros_per_minute=price) for price in (None, None, 7, 40_000)]
)
TWICE = st.integers(1, 3)
_names = itertools.count(1)


class Books(RuleBasedStateMachine):
    """One account, a few jobs, and everybody calling."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.records = self.runner.run(self._open())
        self.account_id = ""
        self.charges: dict[int, set[Charge]] = {}
        self.overage_agreed = False

    async def _open(self) -> SqlRecords:
        return open_records(self.url, SteppedClock())

    @initialize()
    def an_account_of_its_own(self) -> None:
        self.account_id = f"acct_{next(_names)}"
        self.runner.run(given(self.records, account(self.account_id)))

    def _job(self, number: int) -> str:
        return f"{self.account_id}_{number}"

    def _at_once(self, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        ends = self.runner.run(together())
        assert all(_expected(end) for end in ends), ends
        return ends

    async def _hold(self, number: int, seconds: int, terms: HoldTerms) -> Entry:
        hold = within(
            self.records,
            lambda tx: tx.ledger.hold(self.account_id, self._job(number), 1, seconds, MONTH, terms, START),
        )
        return await hold

    async def _extend(self, number: int, seconds: int, terms: HoldTerms) -> Entry:
        return await within(self.records, lambda tx: tx.ledger.extend(self._job(number), 1, seconds, terms, START))

    async def _capture(self, number: int, seconds: int, terms: HoldTerms) -> Charge:
        charge = await within(self.records, lambda tx: tx.ledger.capture(self._job(number), 1, seconds, terms, START))
        if charge != Charge(0, 0, 0):
            self.charges.setdefault(number, set()).add(charge)
        return charge

    async def _release(self, number: int) -> None:
        await within(self.records, lambda tx: tx.ledger.release(self._job(number), 1, START))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, twice=TWICE)
    def hold(self, number: int, seconds: int, terms: HoldTerms, twice: int) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        self._at_once(*(self._hold(number, seconds, terms) for _ in range(twice)))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, twice=TWICE)
    def extend(self, number: int, seconds: int, terms: HoldTerms, twice: int) -> None:
        self.overage_agreed |= terms.overage_micros_per_minute is not None
        self._at_once(*(self._extend(number, seconds, terms) for _ in range(twice)))

    @rule(number=JOBS, seconds=SECONDS, terms=TERMS, twice=TWICE)
    def capture(self, number: int, seconds: int, terms: HoldTerms, twice: int) -> None:
        self._at_once(*(self._capture(number, seconds, terms) for _ in range(twice)))

    @rule(number=JOBS)
    def release(self, number: int) -> None:
        self._at_once(self._release(number))

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
        holds = {entry.job_id: entry for entry in entries if entry.kind == "hold"}
        for entry in entries:
            hold = holds[entry.job_id]
            assert entry.included_s <= hold.included_s
            assert entry.overage_s <= hold.overage_s
            # what lies inside the plan is used up before anything is charged
            assert entry.overage_s == 0 or entry.included_s == hold.included_s

    @invariant()
    def no_job_is_charged_twice(self) -> None:
        assert all(len(charges) == 1 for charges in self.charges.values())

    async def _read(self, tx: Any) -> tuple[Usage, list[Entry]]:
        return await tx.ledger.usage(self.account_id, MONTH), await tx.ledger.entries(self.account_id)

    def teardown(self) -> None:
        self.runner.run(self.records.close())
        self.runner.close()


def _expected(end: object) -> bool:
    if isinstance(end, Conflict):
        return end.code == "no_hold"
    return isinstance(end, QuotaExceeded) or not isinstance(end, BaseException)


def _summed(entries: list[Entry]) -> Usage:
    """The balance that the entries tell."""
    closed = {entry.job_id for entry in entries if entry.kind != "hold"}
    captures = [entry for entry in entries if entry.kind == "capture"]
    open_holds = [entry for entry in entries if entry.kind == "hold" and entry.job_id not in closed]
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
    few = settings(max_examples=25, stateful_step_count=12, deadline=None, database=None, derandomize=True,
                   suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(machine, settings=few)
