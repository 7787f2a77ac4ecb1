"""Is every micro-dollar credited, held, charged or given back exactly once, and no wallet overdrawn?"""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.records_nouns import account, given, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.wallet import Balance, Charged, FundsShort, WalletEntry
from tiro.ports import Transaction

PRICE = 150_000
HOUR_S = 3600


async def _credit(records: SqlRecords, micros: int, name: str = "credit/1", below: int | None = None) -> bool:
    return await within(
        records,
        lambda tx: tx.wallets.credit("acct_1", micros, name=name, note="paid", now=START, below_micros=below),
    )


async def _hold(
    records: SqlRecords, seconds: int, job_id: str = "job_1", run: int = 1, price: int = PRICE
) -> WalletEntry:
    return await within(records, lambda tx: tx.wallets.hold("acct_1", job_id, run, seconds, price, START))


async def _capture(records: SqlRecords, seconds: int, job_id: str = "job_1", run: int = 1) -> WalletEntry | None:
    return await within(records, lambda tx: tx.wallets.capture(job_id, run, seconds, START))


async def _release(records: SqlRecords, job_id: str = "job_1", run: int = 1) -> None:
    await within(records, lambda tx: tx.wallets.release(job_id, run, START))


async def _balance(records: SqlRecords) -> Balance:
    return await within(records, lambda tx: tx.wallets.balance("acct_1"))


async def _lines(records: SqlRecords) -> list[tuple[str, int, int]]:
    entries = await within(records, lambda tx: tx.wallets.entries("acct_1"))
    return [(entry.kind, entry.seconds, entry.amount_micros) for entry in entries]


@pytest.fixture
async def empty(records: SqlRecords) -> SqlRecords:
    await given(records, account())
    return records


@pytest.fixture
async def wallets(empty: SqlRecords) -> SqlRecords:
    """An hour's money."""
    await _credit(empty, PRICE)
    return empty


async def test_an_account_without_a_credit_has_nothing(empty: SqlRecords) -> None:
    assert await _balance(empty) == Balance(0, 0)
    assert await within(empty, lambda tx: tx.wallets.balances()) == {}
    with pytest.raises(FundsShort):
        await _hold(empty, 1)


async def test_a_credit_counts_once_under_its_name(empty: SqlRecords) -> None:
    assert [await _credit(empty, 5_000_000, name) for name in ("one", "one", "two", "one")] == [
        True,
        False,
        True,
        False,
    ]
    assert await _balance(empty) == Balance(10_000_000, 0)
    entries = await within(empty, lambda tx: tx.wallets.entries("acct_1"))
    assert [(entry.job_id, entry.kind, entry.note) for entry in entries] == [
        ("one", "credit", "paid"), ("two", "credit", "paid"),
    ]  # fmt: skip


async def test_a_credit_with_a_bound_counts_only_while_less_is_free(wallets: SqlRecords) -> None:
    """What is held is not free. One that did not count may come again."""
    assert not await _credit(wallets, 100, "two", below=PRICE)
    assert await _lines(wallets) == [("credit", 0, PRICE)]
    await _hold(wallets, 1)
    assert await _credit(wallets, 100, "two", below=PRICE)
    assert not await _credit(wallets, 100, "three", below=PRICE - 42)
    assert (await _balance(wallets)).balance_micros == PRICE + 100


@pytest.mark.promise("T12", "T44")
@pytest.mark.parametrize(("seconds", "micros"), [(709, 29_542), (600, 25_000), (3600, 150_000), (1, 42), (12, 500)])
async def test_a_second_costs_its_share_of_the_hour_to_the_micro_dollar(
    empty: SqlRecords, seconds: int, micros: int
) -> None:
    """A balance of exactly so much is enough, and nothing is left of it."""
    await _credit(empty, micros)
    held = await _hold(empty, seconds)
    assert (held.amount_micros, await _balance(empty)) == (micros, Balance(micros, micros))
    charged = await _capture(empty, seconds)
    assert charged is not None
    assert (charged.amount_micros, await _balance(empty)) == (micros, Balance(0, 0))


async def test_a_hold_grows_to_a_length_and_never_shrinks(wallets: SqlRecords) -> None:
    for seconds, stands in ((600, 600), (600, 600), (900, 900), (300, 900)):
        assert (await _hold(wallets, seconds)).seconds == stands
    assert await _balance(wallets) == Balance(PRICE, 37_500)
    assert await _lines(wallets) == [("credit", 0, PRICE), ("hold", 900, 37_500)]


async def test_a_capture_grows_within_its_hold_and_the_rest_is_released(wallets: SqlRecords) -> None:
    """As the files of a batch are heard."""
    await _hold(wallets, 1200)
    for seconds, stands in ((600, 600), (600, 600), (300, 600), (4000, 1200)):
        charged = await _capture(wallets, seconds)
        assert charged is not None
        assert charged.seconds == stands
    await _hold(wallets, 1800)
    assert await _balance(wallets) == Balance(PRICE - 50_000, 25_000)
    for _ in range(2):
        await _release(wallets)
    assert await _balance(wallets) == Balance(PRICE - 50_000, 0)
    assert await _lines(wallets) == [
        ("credit", 0, PRICE), ("hold", 1800, 75_000), ("capture", 1200, 50_000), ("release", 600, 25_000),
    ]  # fmt: skip


async def test_after_its_release_a_run_holds_and_charges_nothing_more(wallets: SqlRecords) -> None:
    await _hold(wallets, 600)
    await _release(wallets)
    assert (await _hold(wallets, 1200)).seconds == 600
    assert await _capture(wallets, 600) is None
    assert await _balance(wallets) == Balance(PRICE, 0)
    assert await within(wallets, lambda tx: tx.wallets.open_holds()) == []


async def test_without_a_hold_nothing_is_charged_or_released(wallets: SqlRecords) -> None:
    assert await _capture(wallets, 600) is None
    await _release(wallets)
    assert await _lines(wallets) == [("credit", 0, PRICE)]


async def test_a_hold_that_does_not_fit_says_what_it_needs_and_leaves_nothing(wallets: SqlRecords) -> None:
    await _hold(wallets, 3000)
    async with wallets.begin() as tx:
        with pytest.raises(FundsShort) as refused:
            await tx.wallets.hold("acct_1", "job_2", 1, 601, PRICE, START)
    assert refused.value.extras == {"required_micros": 25_042, "balance_micros": 25_000}
    assert await _balance(wallets) == Balance(PRICE, 125_000)
    assert [hold.job_id for hold in await within(wallets, lambda tx: tx.wallets.open_holds())] == ["job_1"]
    assert (await _hold(wallets, 600, "job_2")).seconds == 600


async def test_a_hold_that_cannot_grow_stays_as_it_was(wallets: SqlRecords) -> None:
    await _hold(wallets, 3000)
    with pytest.raises(FundsShort) as refused:
        await _hold(wallets, 3700)
    assert refused.value.extras == {"required_micros": 29_167, "balance_micros": 25_000}
    assert await _balance(wallets) == Balance(PRICE, 125_000)


async def test_the_price_of_a_run_is_that_of_its_first_hold(wallets: SqlRecords) -> None:
    await _hold(wallets, 600)
    await _hold(wallets, 1200, price=PRICE * 2)
    charged = await _capture(wallets, 1200)
    assert charged is not None
    assert (charged.amount_micros, charged.micros_per_hour) == (50_000, PRICE)


async def test_what_a_job_was_charged_counts_all_its_runs_and_no_other_job(wallets: SqlRecords) -> None:
    for job_id, run, seconds in (("job_1", 1, 709), ("job_1", 2, 600), ("job_2", 1, 60)):
        await _hold(wallets, seconds, job_id, run)
        await _capture(wallets, seconds, job_id, run)
    assert await within(wallets, lambda tx: tx.wallets.charged("job_1")) == Charged(1309, 54_542)
    assert await within(wallets, lambda tx: tx.wallets.charged("job_3")) == Charged(0, 0)


async def test_the_newest_lines_come_in_their_order(wallets: SqlRecords) -> None:
    for number in range(4):
        await _hold(wallets, 60, f"job_{number}")
    newest = await within(wallets, lambda tx: tx.wallets.entries("acct_1", 2))
    assert [entry.job_id for entry in newest] == ["job_2", "job_3"]


async def test_a_hold_and_what_it_is_for_are_one_transaction(wallets: SqlRecords) -> None:
    """A process that dies before its commit leaves nothing held, charged or credited."""

    async def all_and_fail(tx: Transaction) -> None:
        await tx.wallets.hold("acct_1", "job_1", 1, 600, PRICE, START)
        await tx.wallets.capture("job_1", 1, 300, START)
        await tx.wallets.credit("acct_1", 100, name="two", note="", now=START)
        raise LookupError

    with pytest.raises(LookupError):
        await within(wallets, all_and_fail)
    assert await _balance(wallets) == Balance(PRICE, 0)
    assert await _lines(wallets) == [("credit", 0, PRICE)]


async def test_fifty_at_once_on_a_balance_of_one_are_one(wallets: SqlRecords) -> None:
    ends = await asyncio.gather(*(_hold(wallets, HOUR_S, f"job_{n}") for n in range(50)), return_exceptions=True)
    assert len([end for end in ends if isinstance(end, WalletEntry)]) == 1
    assert len([end for end in ends if isinstance(end, FundsShort)]) == 49
    assert await _balance(wallets) == Balance(PRICE, PRICE)


async def test_one_run_held_captured_and_released_by_many_at_once_is_charged_once(wallets: SqlRecords) -> None:
    await asyncio.gather(*(_hold(wallets, 600) for _ in range(8)))
    assert await _balance(wallets) == Balance(PRICE, 25_000)
    await asyncio.gather(*(_capture(wallets, 600) for _ in range(8)))
    assert await _balance(wallets) == Balance(PRICE - 25_000, 0)
    await asyncio.gather(*(_release(wallets) for _ in range(8)), *(_hold(wallets, 900) for _ in range(8)))
    assert await _balance(wallets) == Balance(PRICE - 25_000, 0)


async def test_a_credit_told_by_twenty_at_once_counts_once(empty: SqlRecords) -> None:
    ends = await asyncio.gather(*(_credit(empty, 100) for _ in range(20)))
    assert sorted(ends) == [False] * 19 + [True]
    assert await _balance(empty) == Balance(100, 0)


async def test_two_processes_share_one_wallet(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account())
        await _credit(one, PRICE)
        holds = [_hold(records, 1200, f"job_{n}") for n, records in enumerate((one, other) * 10)]
        ends = await asyncio.gather(*holds, return_exceptions=True)
        assert len([end for end in ends if isinstance(end, WalletEntry)]) == 3
        assert await _balance(other) == Balance(PRICE, PRICE)


async def test_runs_of_one_account_never_wait_for_each_other_crosswise(postgres_url: str, clock: SteppedClock) -> None:
    """Two processes, ten jobs, everything at once, time and again: a deadlock would end one of them as an error."""
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account())
        await _credit(one, PRICE * 10)
        for _ in range(5):
            calls = [
                call
                for n, records in enumerate((one, other) * 10)
                for call in (
                    _hold(records, 60 + n, f"job_{n % 10}"),
                    _capture(records, 30 + n, f"job_{n % 10}"),
                    _release(records, f"job_{(n + 5) % 10}")
                    if n % 3 == 0
                    else _hold(records, 90, f"job_{(n + 5) % 10}"),
                )
            ]
            await asyncio.gather(*calls)
        for n in range(10):
            await _release(one, f"job_{n}")
        charged = [(await within(one, lambda tx, n=n: tx.wallets.charged(f"job_{n}"))).amount_micros for n in range(10)]
        assert await _balance(one) == Balance(PRICE * 10 - sum(charged), 0)
