"""Does any order of credits, holds, captures and releases, with repetitions, races and crashes, leave the wallet balanced?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.contract.records_nouns import account, given, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.wallet import Balance, FundsShort, WalletEntry, cost_micros
from tiro.ports import Transaction

pytestmark = pytest.mark.promise("T3", "T12")

RUNS = st.tuples(st.integers(0, 1), st.integers(1, 2))
"""Two jobs of two runs each."""
SECONDS = st.integers(0, 2000)
PRICES = st.sampled_from([150_000, 1, 0, 999_999])
MICROS = st.integers(1, 60_000)
TIMES = st.lists(st.booleans(), min_size=1, max_size=3)
"""The same call so often, at once; True: that process dies before its commit."""
Work = Callable[[Transaction], Awaitable[object]]
_names = itertools.count(1)


class Crash(Exception):
    """The process dies before its commit."""


class Purse(RuleBasedStateMachine):
    """One account, and everybody calling."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.records = self.runner.run(self._open())
        self.account_id = ""

    async def _open(self) -> SqlRecords:
        return open_records(self.url, SteppedClock())

    @initialize(micros=MICROS)
    def an_account_of_its_own(self, micros: int) -> None:
        self.account_id = f"acct_{next(_names)}"
        self.runner.run(given(self.records, account(self.account_id)))
        self._again_and_again(self._credit(0, micros, None), [False])

    def _run(self, run: tuple[int, int]) -> tuple[str, int]:
        return f"{self.account_id}_{run[0]}", run[1]

    def _credit(self, name: int, micros: int, below: int | None) -> Work:
        called = f"{self.account_id}/{name}"
        return lambda tx: tx.wallets.credit(
            self.account_id, micros, name=called, note="", now=START, below_micros=below
        )

    def _hold(self, run: tuple[int, int], seconds: int, price: int) -> Work:
        return lambda tx: tx.wallets.hold(self.account_id, *self._run(run), seconds, price, START)

    def _capture(self, run: tuple[int, int], seconds: int) -> Work:
        return lambda tx: tx.wallets.capture(*self._run(run), seconds, START)

    def _release(self, run: tuple[int, int]) -> Work:
        return lambda tx: tx.wallets.release(*self._run(run), START)

    async def _within(self, work: Work, crash: bool) -> None:
        async with self.records.begin() as tx:
            await work(tx)
            if crash:
                raise Crash

    def _at_once(self, *calls: Coroutine[Any, Any, None]) -> None:
        async def together() -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        ends = self.runner.run(together())
        assert all(end is None or isinstance(end, (FundsShort, Crash)) for end in ends), ends

    def _again_and_again(self, work: Work, crashes: list[bool]) -> None:
        """Several at once, one that does not die, and then once more: that changes nothing."""
        self._at_once(*(self._within(work, crash) for crash in (*crashes, False)))
        before = self._books()
        self._at_once(self._within(work, False))
        assert self._books() == before

    @rule(name=st.integers(0, 3), micros=MICROS, crashes=TIMES)
    def credit(self, name: int, micros: int, crashes: list[bool]) -> None:
        self._again_and_again(self._credit(name, micros, None), crashes)

    @rule(name=st.integers(4, 7), micros=MICROS, below=MICROS)
    def credit_when_low(self, name: int, micros: int, below: int) -> None:
        free, known = self._books()[0].free_micros, len(self._books()[1])
        self._at_once(self._within(self._credit(name, micros, below), False))
        if len(self._books()[1]) > known:
            assert free < below

    @rule(run=RUNS, seconds=SECONDS, price=PRICES, crashes=TIMES)
    def hold(self, run: tuple[int, int], seconds: int, price: int, crashes: list[bool]) -> None:
        self._again_and_again(self._hold(run, seconds, price), crashes)

    @rule(run=RUNS, seconds=SECONDS, crashes=TIMES)
    def capture(self, run: tuple[int, int], seconds: int, crashes: list[bool]) -> None:
        self._again_and_again(self._capture(run, seconds), crashes)

    @rule(run=RUNS, crashes=TIMES)
    def release(self, run: tuple[int, int], crashes: list[bool]) -> None:
        self._again_and_again(self._release(run), crashes)

    @rule(runs=st.lists(RUNS, min_size=2, max_size=4), seconds=SECONDS, price=PRICES, micros=MICROS)
    def everybody(self, runs: list[tuple[int, int]], seconds: int, price: int, micros: int) -> None:
        works = [self._credit(0, micros, None)]
        for run in runs:
            works += [self._hold(run, seconds, price), self._capture(run, seconds // 2), self._release(run)]
        self._at_once(*(self._within(work, False) for work in works))

    @invariant()
    def the_books_balance(self) -> None:
        balance, entries = self._books()
        assert balance.held_micros >= 0
        assert balance.free_micros >= 0
        assert balance == _summed(entries)
        assert len({(entry.job_id, entry.run, entry.kind) for entry in entries}) == len(entries)

    @invariant()
    def every_line_is_the_price_of_its_seconds(self) -> None:
        lines = {(entry.job_id, entry.run, entry.kind): entry for entry in self._books()[1]}
        for (job_id, run, kind), entry in lines.items():
            if kind in {"hold", "capture"}:
                assert entry.amount_micros == cost_micros(entry.seconds, entry.micros_per_hour)
            if kind == "capture":
                assert entry.amount_micros <= lines[job_id, run, "hold"].amount_micros

    def _books(self) -> tuple[Balance, list[WalletEntry]]:
        async def read(tx: Transaction) -> tuple[Balance, list[WalletEntry]]:
            return await tx.wallets.balance(self.account_id), await tx.wallets.entries(self.account_id)

        return self.runner.run(within(self.records, read))

    def teardown(self) -> None:
        self.runner.run(self.records.close())
        self.runner.close()


def _summed(entries: list[WalletEntry]) -> Balance:
    """The wallet that its lines tell."""

    def total(kind: str, *, still_open: bool = False) -> int:
        ended = {(entry.job_id, entry.run) for entry in entries if entry.kind == "release"}
        lines = [entry for entry in entries if entry.kind == kind]
        return sum(entry.amount_micros for entry in lines if not (still_open and (entry.job_id, entry.run) in ended))

    held = total("hold", still_open=True) - total("capture", still_open=True)
    return Balance(total("credit") - total("capture"), held)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_interleaving_leaves_the_wallet_balanced(kind: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[kind]))
    machine = type("PurseHere", (Purse,), {"url": url})
    few = settings(max_examples=30, stateful_step_count=15, deadline=None, database=None, derandomize=True,
                   suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(machine, settings=few)
