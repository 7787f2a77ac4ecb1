"""Minutes and overage in the database. A balance changes only by an UPDATE that carries its own condition.

`used_s` and `held_s` of a month count seconds inside the plan, `overage_used_s` and `overage_held_s` those beyond it, so that
at every moment: held = the sum of open holds, used = the sum of captures. Locks are taken in one order: the entry, then the balance.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, delete, insert, select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import ledger_entries as entries
from tiro.adapters.database.tables import month_balances as balances
from tiro.model.errors import Conflict, QuotaExceeded, Transient
from tiro.model.ledger import Charge, Entry, EntryKind, HoldTerms, Usage, overage_cost_micros, split

_BALANCE = select(balances).where(
    balances.c.account_id == bindparam("account_id"), balances.c.month == bindparam("month")
)


class SqlLedger:
    """The `Ledger` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def hold(
        self, account_id: str, job_id: str, run: int, seconds: int, month: str, terms: HoldTerms, now: datetime
    ) -> Entry:
        empty = Entry(
            account_id=account_id,
            job_id=job_id,
            run=run,
            kind="hold",
            month=month,
            included_s=0,
            overage_s=0,
            amount_micros=0,
            created_at=now,
        )
        # the entry first: whoever comes second with the same run waits here, and then finds it
        if not await self._rows.insert_new(entries, write(empty)):
            standing = await self._entry(job_id, run, "hold")
            assert standing is not None
            return standing
        try:
            return await self._enlarge(empty, seconds, terms)
        except QuotaExceeded:
            await self._rows.run(delete(entries).where(_of(job_id, run, "hold")))
            raise

    async def extend(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Entry:
        """Without a hold: Conflict `no_hold`. A hold that is captured or released stays as it was."""
        hold = await self._locked_hold(job_id, run)
        if hold is None:
            raise Conflict("no_hold", "There is no hold to extend.")
        entry = read(Entry, hold)
        more = seconds - entry.included_s - entry.overage_s
        if more <= 0 or await self._closing(job_id, run) is not None:
            return entry
        return await self._enlarge(entry, more, terms)

    async def capture(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Charge:
        hold = await self._locked_hold(job_id, run)
        if hold is None:
            return Charge(0, 0, 0)
        closing = await self._closing(job_id, run)
        if closing is not None:
            return _charge(closing) if closing.kind == "capture" else Charge(0, 0, 0)
        entry = read(Entry, hold)
        charged_s = max(0, min(seconds, entry.included_s + entry.overage_s))
        included_s = min(charged_s, entry.included_s)
        overage_s = charged_s - included_s
        price = (
            terms.overage_micros_per_minute
            if terms.overage_micros_per_minute is not None
            else hold["micros_per_minute"]
        )
        amount_micros = overage_cost_micros(overage_s, price or 0)
        capture = _close(entry, "capture", included_s, overage_s, amount_micros, now)
        await self._settle(entry, capture)
        return _charge(capture)

    async def release(self, job_id: str, run: int, now: datetime) -> None:
        hold = await self._locked_hold(job_id, run)
        if hold is None or await self._closing(job_id, run) is not None:
            return
        entry = read(Entry, hold)
        await self._settle(entry, _close(entry, "release", entry.included_s, entry.overage_s, 0, now))

    async def usage(self, account_id: str, month: str) -> Usage:
        row = await self._rows.one(_BALANCE, {"account_id": account_id, "month": month})
        return Usage(month, 0, 0, 0, 0, 0) if row is None else read(Usage, row)

    async def entries(self, account_id: str, month: str | None = None) -> list[Entry]:
        query = select(entries).where(entries.c.account_id == account_id).order_by(entries.c.number)
        if month is not None:
            query = query.where(entries.c.month == month)
        return [read(Entry, row) for row in await self._rows.all(query)]

    async def _enlarge(self, hold: Entry, seconds: int, terms: HoldTerms) -> Entry:
        """Take `seconds` more from the month of the hold, what does not fit as overage if the terms have it."""
        included_s, overage_s = await self._reserve(hold.account_id, hold.month, seconds, terms)
        total_overage_s = hold.overage_s + overage_s
        price = terms.overage_micros_per_minute
        larger = msgspec.structs.replace(
            hold,
            included_s=hold.included_s + included_s,
            overage_s=total_overage_s,
            amount_micros=overage_cost_micros(total_overage_s, price or 0),
        )
        values = {field: getattr(larger, field) for field in ("included_s", "overage_s", "amount_micros")}
        if price is not None:
            values["micros_per_minute"] = price
        await self._rows.run(update(entries).where(_of(hold.job_id, hold.run, "hold")).values(values))
        return larger

    async def _reserve(self, account_id: str, month: str, seconds: int, terms: HoldTerms) -> tuple[int, int]:
        """(included, overage) seconds, held. Raises QuotaExceeded, changing nothing."""
        locked = select(balances).where(_at(account_id, month)).with_for_update(key_share=True)
        row = await self._rows.one(locked)
        if row is None:
            # the month's first: made by whoever is first, and then everybody's
            await self._rows.insert_new(balances, {"account_id": account_id, **write(Usage(month, 0, 0, 0, 0, 0))})
            row = await self._rows.one(locked)
        assert row is not None
        remaining_s = None if terms.quota_s is None else terms.quota_s - row["used_s"] - row["held_s"]
        included_s, overage_s = split(seconds, remaining_s)
        if overage_s and terms.overage_micros_per_minute is None:
            raise _exceeded(remaining_s or 0, seconds)
        guard = _at(account_id, month)
        if terms.quota_s is not None and included_s:
            guard &= balances.c.used_s + balances.c.held_s + included_s <= terms.quota_s
        held = {"held_s": balances.c.held_s + included_s, "overage_held_s": balances.c.overage_held_s + overage_s}
        await self._guarded(guard, held)
        return included_s, overage_s

    async def _settle(self, hold: Entry, closing: Entry) -> None:
        """Close a hold: what it held leaves `held`, what is captured arrives in `used`, and the entry says so."""
        captured = closing.kind == "capture"
        guard = _at(hold.account_id, hold.month)
        guard &= (balances.c.held_s >= hold.included_s) & (balances.c.overage_held_s >= hold.overage_s)
        change = {
            "held_s": balances.c.held_s - hold.included_s,
            "overage_held_s": balances.c.overage_held_s - hold.overage_s,
        }
        if captured:
            change["used_s"] = balances.c.used_s + closing.included_s
            change["overage_used_s"] = balances.c.overage_used_s + closing.overage_s
            change["overage_micros"] = balances.c.overage_micros + closing.amount_micros
        await self._guarded(guard, change)
        await self._rows.run(insert(entries), write(closing))

    async def _guarded(self, guard: ColumnElement[bool], change: dict[str, ColumnElement[int]]) -> None:
        if await self._rows.run(update(balances).where(guard).values(change)) != 1:
            # the row was locked when it was read, so this is a database without locks, or a balance changed by hand
            raise Transient("database_unavailable", "The balance changed under the update.")

    async def _locked_hold(self, job_id: str, run: int) -> RowMapping | None:
        return await self._rows.one(select(entries).where(_of(job_id, run, "hold")).with_for_update())

    async def _entry(self, job_id: str, run: int, kind: EntryKind) -> Entry | None:
        row = await self._rows.one(select(entries).where(_of(job_id, run, kind)))
        return None if row is None else read(Entry, row)

    async def _closing(self, job_id: str, run: int) -> Entry | None:
        return await self._entry(job_id, run, "capture") or await self._entry(job_id, run, "release")


def _of(job_id: str, run: int, kind: EntryKind) -> ColumnElement[bool]:
    return and_(entries.c.job_id == job_id, entries.c.run == run, entries.c.kind == kind)


def _at(account_id: str, month: str) -> ColumnElement[bool]:
    return and_(balances.c.account_id == account_id, balances.c.month == month)


def _close(hold: Entry, kind: EntryKind, included_s: int, overage_s: int, amount_micros: int, now: datetime) -> Entry:
    return msgspec.structs.replace(
        hold, kind=kind, included_s=included_s, overage_s=overage_s, amount_micros=amount_micros, created_at=now
    )


def _charge(capture: Entry) -> Charge:
    return Charge(capture.included_s + capture.overage_s, capture.overage_s, capture.amount_micros)


def _exceeded(remaining_s: int, required_s: int) -> QuotaExceeded:
    """Whole minutes: what is left rounded down, what is needed rounded up, so that the one is less than the other."""
    return QuotaExceeded(
        "quota_exceeded",
        "The minutes of this month are spent.",
        minutes_remaining=max(0, remaining_s) // 60,
        minutes_required=math.ceil(required_s / 60),
    )
