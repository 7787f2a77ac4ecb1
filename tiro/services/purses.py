"""What pays for a job: minutes of the plan (and overage where it is agreed), or the account's wallet. One class each, found by name."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from tiro.model.account import Account
from tiro.model.customs import Purse
from tiro.model.errors import QuotaExceeded
from tiro.model.job import Job
from tiro.model.ledger import HoldTerms, billable_seconds, month_after, month_of
from tiro.model.plans import Plan, Plans
from tiro.model.wallet import FundsShort, cost_micros
from tiro.ports import Transaction


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What the end of a run came to. `cost_micros`, and `balance_micros` after it: None where no wallet pays."""

    billed_s: int = 0
    overage_s: int = 0
    cost_micros: int | None = None
    balance_micros: int | None = None


class Payer(Protocol):
    """Seconds are held when they are known, charged at the end, once, and what is left is given back."""

    def price(self, account: Account) -> int | None:
        """Micro-dollars an hour, as they are now; None: no money is asked for what is inside the plan."""
        ...

    async def admit(self, tx: Transaction, account: Account, job: Job, known_s: float | None) -> None:
        """At intake: hold a known length; unknown: refuse only when nothing is left."""
        ...

    async def hold(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> None:
        """Hold, or bring a standing hold up to, `seconds`."""
        ...

    async def close(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> Bill:
        """Charge so much, never more than was held; the rest is released."""
        ...

    async def release(self, tx: Transaction, job: Job, now: datetime) -> None:
        """Give back what is held."""
        ...


class Minutes:
    """The plan's minutes of the month; beyond them overage."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    def price(self, account: Account) -> int | None:
        return None

    async def admit(self, tx: Transaction, account: Account, job: Job, known_s: float | None) -> None:
        """Raises QuotaExceeded with the API's extras."""
        now = job.created_at
        if known_s is not None:
            await self.hold(tx, account, job, billable_seconds(known_s), now)
            return
        terms = self._terms(account, job)
        if terms.quota_s is None or terms.overage_micros_per_minute is not None:
            return
        usage = await tx.ledger.usage(account.account_id, month_of(now))
        if usage.used_s + usage.held_s >= terms.quota_s:
            raise self._exceeded(account, remaining_s=0, required_s=None, now=now)

    async def hold(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> None:
        """Raises QuotaExceeded with the API's extras."""
        terms = self._terms(account, job)
        try:
            held = await tx.ledger.hold(account.account_id, job.job_id, job.run, seconds, month_of(now), terms, now)
            if held.included_s + held.overage_s < seconds:
                await tx.ledger.extend(job.job_id, job.run, seconds, terms, now)
        except QuotaExceeded:
            usage = await tx.ledger.usage(account.account_id, month_of(now))
            remaining_s = max(0, (terms.quota_s or 0) - usage.used_s - usage.held_s)
            raise self._exceeded(account, remaining_s=remaining_s, required_s=seconds, now=now) from None

    async def close(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> Bill:
        if seconds == 0:
            await self.release(tx, job, now)
            return Bill()
        # overage that was held was agreed
        terms = terms_of(self._plans.of(account), account, accept_overage=True)
        charge = await tx.ledger.capture(job.job_id, job.run, seconds, terms, now)
        return Bill(billed_s=charge.billed_s, overage_s=charge.overage_s)

    async def release(self, tx: Transaction, job: Job, now: datetime) -> None:
        await tx.ledger.release(job.job_id, job.run, now)

    def _terms(self, account: Account, job: Job) -> HoldTerms:
        return terms_of(self._plans.of(account), account, accept_overage=job.accept_overage)

    def _exceeded(self, account: Account, *, remaining_s: int, required_s: int | None, now: datetime) -> QuotaExceeded:
        """With what its reader needs to decide: what is left, what was needed, whether overage is open, when it resets."""
        return QuotaExceeded(
            message="The minutes of this month are spent.",
            overage_allowed=overage_allowed(self._plans.of(account), account),
            minutes_remaining=round(remaining_s / 60, 2),
            minutes_required=None if required_s is None else round(required_s / 60, 2),
            resets_at=month_after(now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


class Money:
    """The account's wallet, at the price that the job was taken in for."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    def price(self, account: Account) -> int | None:
        return self._plans.of(account).micros_per_hour

    async def admit(self, tx: Transaction, account: Account, job: Job, known_s: float | None) -> None:
        """Raises FundsShort, also where a length is not known and not even one second can be paid."""
        least = cost_micros(1, _price_of(job))
        free = (await tx.wallets.balance(account.account_id)).free_micros
        if free < least:
            raise FundsShort(None, "The balance is too low.", required_micros=least, balance_micros=free)
        if known_s is not None:
            await self.hold(tx, account, job, billable_seconds(known_s), job.created_at)

    async def hold(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> None:
        """Raises FundsShort."""
        await tx.wallets.hold(account.account_id, job.job_id, job.run, seconds, _price_of(job), now)

    async def close(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> Bill:
        charged = await tx.wallets.capture(job.job_id, job.run, seconds, now) if seconds else None
        await self.release(tx, job, now)
        balance = await tx.wallets.balance(account.account_id)
        return Bill(
            billed_s=charged.seconds if charged else 0,
            cost_micros=charged.amount_micros if charged else 0,
            balance_micros=balance.balance_micros,
        )

    async def release(self, tx: Transaction, job: Job, now: datetime) -> None:
        await tx.wallets.release(job.job_id, job.run, now)


def payers(plans: Plans) -> dict[Purse, Payer]:
    """By the name that a dialect's customs give."""
    return {"minutes": Minutes(plans), "wallet": Money(plans)}


def terms_of(plan: Plan, account: Account, *, accept_overage: bool) -> HoldTerms:
    """Overage needs the plan's price, the account's switch and the request's word."""
    quota_s = None if account.unmetered or plan.minutes_month is None else plan.minutes_month * 60
    allowed = overage_allowed(plan, account) and accept_overage
    return HoldTerms(quota_s=quota_s, overage_micros_per_minute=plan.overage_micros_per_minute if allowed else None)


def overage_allowed(plan: Plan, account: Account) -> bool:
    """Whether the account may be billed beyond its minutes at all."""
    return account.overage and plan.overage_micros_per_minute is not None


def _price_of(job: Job) -> int:
    assert job.micros_per_hour is not None  # intake writes it for every job that a wallet pays
    return job.micros_per_hour
