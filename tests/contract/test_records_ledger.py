"""Is every second held, charged or given back exactly once, and no balance overdrawn?"""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.records_nouns import account, given, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.errors import Conflict, QuotaExceeded
from tiro.model.ledger import Charge, Entry, HoldTerms, Usage
from tiro.ports import Transaction

MONTH = "2026-03"
HOUR = HoldTerms(quota_s=3600, overage_micros_per_minute=None)
MORE = HoldTerms(quota_s=3600, overage_micros_per_minute=40_000)
UNMETERED = HoldTerms(quota_s=None, overage_micros_per_minute=None)


async def _hold(
    records: SqlRecords, seconds: int, job_id: str = "job_1", terms: HoldTerms = HOUR, month: str = MONTH
) -> Entry:
    return await within(records, lambda tx: tx.ledger.hold("acct_1", job_id, 1, seconds, month, terms, START))


async def _extend(records: SqlRecords, seconds: int, job_id: str = "job_1", terms: HoldTerms = HOUR) -> Entry:
    return await within(records, lambda tx: tx.ledger.extend(job_id, 1, seconds, terms, START))


async def _capture(records: SqlRecords, seconds: int, job_id: str = "job_1", terms: HoldTerms = HOUR) -> Charge:
    return await within(records, lambda tx: tx.ledger.capture(job_id, 1, seconds, terms, START))


async def _release(records: SqlRecords, job_id: str = "job_1") -> None:
    await within(records, lambda tx: tx.ledger.release(job_id, 1, START))


async def _usage(records: SqlRecords, month: str = MONTH) -> Usage:
    return await within(records, lambda tx: tx.ledger.usage("acct_1", month))


@pytest.fixture
async def ledger(records: SqlRecords) -> SqlRecords:
    await given(records, account())
    return records


async def test_a_month_without_entries_is_empty(ledger: SqlRecords) -> None:
    assert await _usage(ledger) == Usage(MONTH, 0, 0, 0, 0, 0)
    assert await within(ledger, lambda tx: tx.ledger.entries("acct_1")) == []


async def test_a_hold_is_placed_once_and_then_found(ledger: SqlRecords) -> None:
    held = await _hold(ledger, 600)
    assert (held.kind, held.month, held.included_s, held.overage_s, held.amount_micros) == ("hold", MONTH, 600, 0, 0)
    assert await _hold(ledger, 900, month="2026-04") == held
    assert await _usage(ledger) == Usage(MONTH, 0, 600, 0, 0, 0)


async def test_a_capture_charges_once_and_gives_the_rest_back(ledger: SqlRecords) -> None:
    await _hold(ledger, 600)
    for seconds in (570, 600):
        assert await _capture(ledger, seconds) == Charge(570, 0, 0)
    await _release(ledger)
    assert await _usage(ledger) == Usage(MONTH, 570, 0, 0, 0, 0)
    entries = await within(ledger, lambda tx: tx.ledger.entries("acct_1"))
    assert [(entry.kind, entry.included_s) for entry in entries] == [("hold", 600), ("capture", 570)]


async def test_a_capture_never_takes_more_than_is_held(ledger: SqlRecords) -> None:
    await _hold(ledger, 600)
    assert await _capture(ledger, 4000) == Charge(600, 0, 0)


async def test_a_release_gives_everything_back_once(ledger: SqlRecords) -> None:
    await _hold(ledger, 600)
    for _ in range(2):
        await _release(ledger)
    assert await _capture(ledger, 600) == Charge(0, 0, 0)
    assert await _usage(ledger) == Usage(MONTH, 0, 0, 0, 0, 0)
    entries = await within(ledger, lambda tx: tx.ledger.entries("acct_1", MONTH))
    assert [(entry.kind, entry.included_s) for entry in entries] == [("hold", 600), ("release", 600)]


async def test_without_a_hold_nothing_is_charged_released_or_extended(ledger: SqlRecords) -> None:
    assert await _capture(ledger, 600) == Charge(0, 0, 0)
    await _release(ledger)
    with pytest.raises(Conflict):
        await _extend(ledger, 600)
    assert await within(ledger, lambda tx: tx.ledger.entries("acct_1")) == []


async def test_a_hold_is_extended_to_a_length_and_never_shortened(ledger: SqlRecords) -> None:
    await _hold(ledger, 600)
    for seconds in (900, 900, 300):
        assert (await _extend(ledger, seconds)).included_s == 900
    assert (await _usage(ledger)).held_s == 900


async def test_a_closed_hold_is_not_extended(ledger: SqlRecords) -> None:
    await _hold(ledger, 600)
    await _capture(ledger, 600)
    assert (await _extend(ledger, 900)).included_s == 600
    assert await _usage(ledger) == Usage(MONTH, 600, 0, 0, 0, 0)


async def test_a_hold_that_does_not_fit_is_refused_with_the_minutes_and_leaves_nothing(ledger: SqlRecords) -> None:
    await _hold(ledger, 3000)
    async with ledger.begin() as tx:
        with pytest.raises(QuotaExceeded) as refused:
            await tx.ledger.hold("acct_1", "job_2", 1, 601, MONTH, HOUR, START)
        await tx.ledger.release("job_2", 1, START)
    assert refused.value.extras == {"minutes_remaining": 10, "minutes_required": 11}
    assert await _usage(ledger) == Usage(MONTH, 0, 3000, 0, 0, 0)
    assert (await _hold(ledger, 600, "job_2")).included_s == 600


async def test_an_extension_that_does_not_fit_leaves_the_hold_as_it_was(ledger: SqlRecords) -> None:
    await _hold(ledger, 3000)
    await _hold(ledger, 500, "job_2")
    with pytest.raises(QuotaExceeded):
        await _extend(ledger, 700, "job_2")
    assert await _usage(ledger) == Usage(MONTH, 0, 3500, 0, 0, 0)
    assert await _capture(ledger, 700, "job_2") == Charge(500, 0, 0)


async def test_what_does_not_fit_is_overage_where_the_terms_have_it(ledger: SqlRecords) -> None:
    await _hold(ledger, 3000)
    held = await _hold(ledger, 690, "job_2", MORE)
    assert (held.included_s, held.overage_s, held.amount_micros) == (600, 90, 60_000)
    longer = await _extend(ledger, 720, "job_2", MORE)
    assert (longer.included_s, longer.overage_s, longer.amount_micros) == (600, 120, 80_000)
    assert await _capture(ledger, 630, "job_2", MORE) == Charge(630, 30, 20_000)
    assert await _usage(ledger) == Usage(MONTH, 600, 3000, 30, 0, 20_000)


async def test_overage_that_was_agreed_is_charged_at_its_price_when_it_is_switched_off_meanwhile(
    ledger: SqlRecords,
) -> None:
    await _hold(ledger, 3660, terms=MORE)
    assert await _capture(ledger, 3660, terms=HOUR) == Charge(3660, 60, 40_000)


async def test_an_account_over_its_quota_still_holds_overage(ledger: SqlRecords) -> None:
    await _hold(ledger, 7200, terms=UNMETERED)
    held = await _hold(ledger, 60, "job_2", MORE)
    assert (held.included_s, held.overage_s) == (0, 60)
    with pytest.raises(QuotaExceeded) as refused:
        await _hold(ledger, 60, "job_3")
    assert refused.value.extras["minutes_remaining"] == 0


async def test_an_unmetered_account_is_counted_and_not_refused(ledger: SqlRecords) -> None:
    await _hold(ledger, 2_000_000, terms=UNMETERED)
    assert await _capture(ledger, 2_000_000, terms=UNMETERED) == Charge(2_000_000, 0, 0)
    assert (await _usage(ledger)).used_s == 2_000_000


async def test_the_month_of_the_hold_stays(ledger: SqlRecords, clock: SteppedClock) -> None:
    await _hold(ledger, 600)
    clock.step(7200)
    await within(ledger, lambda tx: tx.ledger.extend("job_1", 1, 700, HOUR, clock.now()))
    await within(ledger, lambda tx: tx.ledger.capture("job_1", 1, 650, HOUR, clock.now()))
    assert await _usage(ledger) == Usage(MONTH, 650, 0, 0, 0, 0)
    assert await _usage(ledger, "2026-04") == Usage("2026-04", 0, 0, 0, 0, 0)


async def test_nothing_of_a_length_of_zero_is_charged(ledger: SqlRecords) -> None:
    assert (await _hold(ledger, 0, terms=HoldTerms(quota_s=0, overage_micros_per_minute=None))).included_s == 0
    assert await _capture(ledger, 10) == Charge(0, 0, 0)


async def test_a_hold_and_its_job_are_one_transaction(ledger: SqlRecords) -> None:
    async def hold_and_fail(tx: Transaction) -> None:
        await tx.ledger.hold("acct_1", "job_1", 1, 600, MONTH, HOUR, START)
        raise LookupError

    with pytest.raises(LookupError):
        await within(ledger, hold_and_fail)
    assert await _usage(ledger) == Usage(MONTH, 0, 0, 0, 0, 0)


async def test_fifty_at_once_for_a_balance_of_one_are_one(ledger: SqlRecords) -> None:
    ends = await asyncio.gather(*(_hold(ledger, 3600, f"job_{n}") for n in range(50)), return_exceptions=True)
    assert len([end for end in ends if isinstance(end, Entry)]) == 1
    assert len([end for end in ends if isinstance(end, QuotaExceeded)]) == 49
    assert await _usage(ledger) == Usage(MONTH, 0, 3600, 0, 0, 0)


async def test_two_processes_share_one_balance(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account())
        holds = [_hold(records, 1200, f"job_{n}") for n, records in enumerate((one, other) * 10)]
        ends = await asyncio.gather(*holds, return_exceptions=True)
        assert len([end for end in ends if isinstance(end, Entry)]) == 3
        assert (await _usage(one)).held_s == 3600


async def test_one_job_captured_released_and_held_by_many_at_once_is_charged_once(ledger: SqlRecords) -> None:
    await asyncio.gather(*(_hold(ledger, 600) for _ in range(8)))
    assert (await _usage(ledger)).held_s == 600
    ends = await asyncio.gather(*(_capture(ledger, 600) for _ in range(8)), *(_release(ledger) for _ in range(8)))
    charges = {end for end in ends if isinstance(end, Charge)}
    usage = await _usage(ledger)
    assert usage.held_s == 0
    assert charges in ({Charge(600, 0, 0)}, {Charge(0, 0, 0)}, {Charge(600, 0, 0), Charge(0, 0, 0)})
    assert usage.used_s == max(charge.billed_s for charge in charges)
