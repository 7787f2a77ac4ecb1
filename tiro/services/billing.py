"""On what terms seconds are held for an account: its plan's minutes, and overage where it is switched on and asked for."""

from __future__ import annotations

from datetime import datetime

from tiro.model.account import Account
from tiro.model.errors import QuotaExceeded
from tiro.model.ledger import Charge, HoldTerms, billable_seconds, month_after, month_of
from tiro.model.plans import Plan, Plans
from tiro.ports import Transaction


def terms_of(plan: Plan, account: Account, *, accept_overage: bool) -> HoldTerms:
    """Overage needs the plan's price, the account's switch and the request's word."""
    quota_s = None if account.unmetered or plan.minutes_month is None else plan.minutes_month * 60
    allowed = overage_allowed(plan, account) and accept_overage
    return HoldTerms(quota_s=quota_s, overage_micros_per_minute=plan.overage_micros_per_minute if allowed else None)


def overage_allowed(plan: Plan, account: Account) -> bool:
    """Whether the account may be billed beyond its minutes at all."""
    return account.overage and plan.overage_micros_per_minute is not None


class Billing:
    """Holds, captures and releases for jobs. Works inside the caller's transaction."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    def terms(self, account: Account, *, accept_overage: bool) -> HoldTerms:
        """Those of the account's plan as it is now."""
        return terms_of(self._plans.of(account), account, accept_overage=accept_overage)

    async def admit(
        self,
        tx: Transaction,
        account: Account,
        job_id: str,
        *,
        known_s: float | None,
        accept_overage: bool,
        now: datetime,
    ) -> None:
        """At intake: hold a known length; unknown: refuse only when nothing is left. Raises QuotaExceeded with the API's extras."""
        terms = self.terms(account, accept_overage=accept_overage)
        month = month_of(now)
        if known_s is not None:
            await self.hold(tx, account, job_id, 1, seconds=billable_seconds(known_s), terms=terms, now=now)
            return
        if terms.quota_s is None or terms.overage_micros_per_minute is not None:
            return
        usage = await tx.ledger.usage(account.account_id, month)
        if usage.used_s + usage.held_s >= terms.quota_s:
            raise self._exceeded(account, remaining_s=0, required_s=None, now=now)

    async def hold(
        self, tx: Transaction, account: Account, job_id: str, run: int, *, seconds: int, terms: HoldTerms, now: datetime
    ) -> None:
        """Hold, or bring a standing hold up to, `seconds`. Raises QuotaExceeded with the API's extras."""
        try:
            await tx.ledger.hold(account.account_id, job_id, run, seconds, month_of(now), terms, now)
            await tx.ledger.extend(job_id, run, seconds, terms, now)
        except QuotaExceeded:
            usage = await tx.ledger.usage(account.account_id, month_of(now))
            remaining_s = max(0, (terms.quota_s or 0) - usage.used_s - usage.held_s)
            raise self._exceeded(account, remaining_s=remaining_s, required_s=seconds, now=now) from None

    async def capture(
        self, tx: Transaction, account: Account, job_id: str, run: int, *, seconds: int, now: datetime
    ) -> Charge:
        """Charge what was transcribed, never more than was held; the rest is released."""
        terms = self.terms(account, accept_overage=True)
        return await tx.ledger.capture(job_id, run, seconds, terms, now)

    def _exceeded(self, account: Account, *, remaining_s: int, required_s: int | None, now: datetime) -> QuotaExceeded:
        """With what its reader needs to decide: what is left, what was needed, whether overage is open, when it resets."""
        return QuotaExceeded(
            message="The minutes of this month are spent.",
            overage_allowed=overage_allowed(self._plans.of(account), account),
            minutes_remaining=round(remaining_s / 60, 2),
            minutes_required=None if required_s is None else round(required_s / 60, 2),
            resets_at=month_after(now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
