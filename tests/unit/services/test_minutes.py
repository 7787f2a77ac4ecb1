"""What does a job cost? Minutes of the plan first, then overage by the second, where it was agreed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.contract.records_nouns import job
from tests.unit.services.desk import PLANS, Desk
from tiro.model.account import Account
from tiro.model.errors import QuotaExceeded
from tiro.model.job import Job
from tiro.model.ledger import HoldTerms, Usage, month_of
from tiro.services.billing import Billing

UNMETERED = HoldTerms(quota_s=None, overage_micros_per_minute=None)
LAST_SECOND = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


async def _spent(desk: Desk, account: Account, seconds: int) -> None:
    """An earlier job has taken so many seconds of the month."""
    now = desk.clock.now()
    async with desk.records.begin() as tx:
        await tx.ledger.hold(account.account_id, "job_0", 1, seconds, month_of(now), UNMETERED, now)
        await tx.ledger.capture("job_0", 1, seconds, UNMETERED, now)


async def _admitted(desk: Desk, account: Account, known_s: float | None, *, accept_overage: bool = False) -> None:
    asked = job(account_id=account.account_id, at=desk.clock.now(), accept_overage=accept_overage)
    async with desk.records.begin() as tx:
        await Billing(PLANS).admit(tx, account, asked, known_s=known_s)


async def _completed(desk: Desk, account: Account, decoded_s: float) -> Job:
    await desk.running(account, decoded_s=decoded_s, accept_overage=True)
    await desk.endings.end("job_1", 1, "completed")
    return await desk.job()


@pytest.mark.promise("J22")
@pytest.mark.parametrize(("plan", "micros"), [("pro", 40_000), ("business", 20_000)])
async def test_only_what_lies_beyond_the_quota_is_overage_by_the_second(desk: Desk, plan: str, micros: int) -> None:
    """59 s of the month are left, 119.2 s were decoded: 59 of them are paid for by the plan, 61 by the second."""
    account = await desk.account(plan)
    account = await desk.accounts.change(account.account_id, overage=True)
    quota_s = (PLANS.named(plan).minutes_month or 0) * 60
    await _spent(desk, account, quota_s - 59)
    ended = await _completed(desk, account, 119.2)
    assert (ended.billed_s, ended.overage_s) == (120, 61)
    usage = await desk.usage(account)
    assert (usage.used_s, usage.overage_used_s, usage.held_s + usage.overage_held_s) == (quota_s, 61, 0)
    assert usage.overage_micros == (61 * micros + 30) // 60
    assert round(usage.overage_micros / 1_000_000, 2) == {40_000: 0.04, 20_000: 0.02}[micros]


@pytest.mark.promise("J20")
async def test_who_is_unmetered_never_runs_out(desk: Desk) -> None:
    """The first account of an embedded server: a hundred times its plan, and nothing is overage."""
    account = await desk.account("business", unmetered=True)
    await _spent(desk, account, 6_000 * 60 * 100)
    await _admitted(desk, account, None)
    ended = await _completed(desk, account, 3600.0)
    assert (ended.billed_s, ended.overage_s) == (3600, 0)
    assert (await desk.usage(account)).overage_micros == 0


@pytest.mark.promise("J20")
async def test_minutes_begin_anew_with_the_month_in_utc(desk: Desk) -> None:
    """Not a second before; a job is charged to the month in which it was handed in."""
    desk.clock.moment = LAST_SECOND
    account = await desk.account("free")
    await _spent(desk, account, 3_540)
    await desk.running(account, decoded_s=60.0)
    with pytest.raises(QuotaExceeded) as refused:
        await _admitted(desk, account, None)
    assert refused.value.extras["resets_at"] == "2027-01-01T00:00:00Z"
    desk.clock.step(1)
    await _admitted(desk, account, 1.0)
    await desk.endings.end("job_1", 1, "completed")
    async with desk.records.begin() as tx:
        before, after = [await tx.ledger.usage(account.account_id, month) for month in ("2026-12", "2027-01")]
    assert (before.used_s, before.held_s, after.used_s) == (3_600, 0, 0)


@pytest.mark.promise("J21", "J22")
@pytest.mark.parametrize(
    ("plan", "overage", "accept", "allowed"),
    [
        ("free", False, False, False),
        ("free", True, True, False),
        ("pro", False, True, False),
        ("pro", True, False, True),
        ("business", True, False, True),
    ],
)
async def test_a_refusal_says_exactly_what_is_left_and_needed_and_what_would_help(
    desk: Desk, plan: str, overage: bool, accept: bool, allowed: bool
) -> None:
    """A job that fits in part is refused whole. Free never has overage, whatever is switched on or asked for."""
    account = await desk.account(plan)
    account = await desk.accounts.change(account.account_id, overage=overage)
    quota_s = (PLANS.named(plan).minutes_month or 0) * 60
    await _spent(desk, account, quota_s - 75)
    before = await desk.usage(account)
    with pytest.raises(QuotaExceeded) as refused:
        await _admitted(desk, account, 80.2, accept_overage=accept)
    month = desk.clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (month + timedelta(days=32)).replace(day=1)
    assert refused.value.extras == {
        "overage_allowed": allowed,
        "minutes_remaining": 1.25,
        "minutes_required": 1.35,
        "resets_at": f"{following:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert await desk.usage(account) == before


@pytest.mark.promise("J21")
async def test_an_unknown_length_holds_nothing_and_is_refused_only_when_nothing_is_left(desk: Desk) -> None:
    account = await desk.account("free")
    await _spent(desk, account, 3_599)
    await _admitted(desk, account, None)
    assert (await desk.usage(account)).held_s == 0
    await _admitted(desk, account, 0.4)
    with pytest.raises(QuotaExceeded) as refused:
        await _admitted(desk, account, None)
    assert (refused.value.extras["minutes_remaining"], refused.value.extras["minutes_required"]) == (0, None)


@pytest.mark.promise("J22")
async def test_overage_is_charged_although_it_was_switched_off_meanwhile(desk: Desk) -> None:
    """It was agreed when it was held."""
    account = await desk.account("pro")
    account = await desk.accounts.change(account.account_id, overage=True)
    await _spent(desk, account, 1_200 * 60)
    await desk.running(account, decoded_s=60.0, accept_overage=True)
    await desk.accounts.change(account.account_id, overage=False)
    await desk.endings.end("job_1", 1, "completed")
    assert (await desk.usage(account)).overage_micros == 40_000


@pytest.mark.promise("J20")
async def test_minutes_and_slots_are_those_of_the_settings(desk: Desk) -> None:
    """Not of the code: another table, other numbers."""
    account = await desk.account("free")
    generous = type(PLANS)(msgspec.structs.replace(plan, minutes_month=1, max_jobs=7) for plan in PLANS.all())
    async with desk.records.begin() as tx:
        with pytest.raises(QuotaExceeded):
            await Billing(generous).admit(
                tx, account, job(account_id=account.account_id, at=desk.clock.now()), known_s=61.0
            )
    assert generous.max_jobs() == dict.fromkeys(("free", "payg", "pro", "business"), 7)
    assert await desk.usage(account) == Usage(month_of(desk.clock.now()), 0, 0, 0, 0, 0)
