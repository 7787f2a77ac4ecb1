"""Do balances, holds and charges agree with the entries of the ledgers? The statements that ask it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, exists, func, literal, or_, select, union_all

from tiro.adapters.database.books_sums import SHOULD, unequal
from tiro.adapters.database.tables import jobs, ledger_entries, month_balances, wallet_entries, wallets
from tiro.model.job import ENDED

MONTH_SUMS = ("used_s", "held_s", "overage_used_s", "overage_held_s", "overage_micros")
WALLET_SUMS = ("balance_micros", "held_micros")
_CLOSING = {ledger_entries.name: ("capture", "release"), wallet_entries.name: ("release",)}
"""What ends a hold: minutes are captured once and for all, money until it is released."""


def _closed(entries: FromClause) -> ColumnElement[bool]:
    """Whether the hold of an entry's run has been closed."""
    closing = entries.alias()
    same = (closing.c.job_id == entries.c.job_id) & (closing.c.run == entries.c.run)
    return exists().where(same, closing.c.kind.in_(_CLOSING[entries.name]))  # type: ignore[attr-defined]


def _added(holds: ColumnElement[bool], value: ColumnElement[int], name: str) -> ColumnElement[int]:
    return case((holds, value), else_=0).label(name + SHOULD)


def _zeros(names: tuple[str, ...], suffix: str = "") -> list[ColumnElement[int]]:
    return [literal(0).label(name + suffix) for name in names]


def _months() -> Select[Any]:
    entries, balances = ledger_entries.c, month_balances.c
    held, used = (entries.kind == "hold") & ~_closed(ledger_entries), entries.kind == "capture"
    written = select(
        balances.account_id, balances.month, *(balances[name] for name in MONTH_SUMS), *_zeros(MONTH_SUMS, SHOULD)
    )
    summed = select(
        entries.account_id,
        entries.month,
        *_zeros(MONTH_SUMS),
        _added(used, entries.included_s, "used_s"),
        _added(held, entries.included_s, "held_s"),
        _added(used, entries.overage_s, "overage_used_s"),
        _added(held, entries.overage_s, "overage_held_s"),
        _added(used, entries.amount_micros, "overage_micros"),
    )
    return unequal(union_all(written, summed), ("account_id", "month"), MONTH_SUMS)


def _wallets() -> Select[Any]:
    """Of what is held, what its run was charged is gone already."""
    entries = wallet_entries.c
    balance = case(
        (entries.kind == "credit", entries.amount_micros), (entries.kind == "capture", -entries.amount_micros)
    )
    held = case((entries.kind == "hold", entries.amount_micros), (entries.kind == "capture", -entries.amount_micros))
    written = select(wallets.c.account_id, *(wallets.c[name] for name in WALLET_SUMS), *_zeros(WALLET_SUMS, SHOULD))
    summed = select(
        entries.account_id,
        *_zeros(WALLET_SUMS),
        func.coalesce(balance, 0).label("balance_micros" + SHOULD),
        _added(~_closed(wallet_entries), func.coalesce(held, 0), "held_micros"),
    )
    return unequal(union_all(written, summed), ("account_id",), WALLET_SUMS)


def _idle(entries: FromClause, there: ColumnElement[int], name: str) -> Select[Any]:
    """Open holds of runs that have ended, or that there are not."""
    under_way = exists().where(
        jobs.c.job_id == entries.c.job_id, jobs.c.run == entries.c.run, jobs.c.state.not_in(sorted(ENDED))
    )
    idle = (entries.c.kind == "hold") & ~_closed(entries) & ~under_way
    return select(entries.c.job_id, there.label(name), literal(0).label(name + SHOULD)).where(idle)


def minutes_charged(dialects: Collection[str]) -> Select[Any]:
    """Of the last run: those before it failed, and were charged nothing."""
    entries = ledger_entries.c
    mine = (entries.job_id == jobs.c.job_id) & (entries.run == jobs.c.run) & (entries.kind == "capture")
    captured = func.coalesce(entries.included_s + entries.overage_s, 0)
    overage = func.coalesce(entries.overage_s, 0)
    return (
        select(
            jobs.c.job_id,
            jobs.c.billed_s,
            captured.label("billed_s" + SHOULD),
            jobs.c.overage_s,
            overage.label("overage_s" + SHOULD),
        )
        .outerjoin(ledger_entries, mine)
        .where(_priced(dialects))
        .where(or_(func.coalesce(jobs.c.billed_s, 0) != captured, func.coalesce(jobs.c.overage_s, 0) != overage))
    )


def money_charged(dialects: Collection[str]) -> Select[Any]:
    """Of the last run; of a batch, whose files are not heard again, of all its runs."""
    entries = wallet_entries.c
    seconds, amount = func.sum(entries.seconds), func.sum(entries.amount_micros)
    runs = (
        select(entries.job_id, seconds.label("seconds"), amount.label("micros"))
        .join(jobs, jobs.c.job_id == entries.job_id)
        .where(entries.kind == "capture", or_(entries.run == jobs.c.run, jobs.c.files_total.is_not(None)))
        .group_by(entries.job_id)
        .subquery()
    )
    captured, charged = func.coalesce(runs.c.seconds, 0), func.coalesce(runs.c.micros, 0)
    return (
        select(
            jobs.c.job_id,
            jobs.c.billed_s,
            captured.label("billed_s" + SHOULD),
            jobs.c.cost_micros,
            charged.label("cost_micros" + SHOULD),
        )
        .outerjoin(runs, runs.c.job_id == jobs.c.job_id)
        .where(_priced(dialects))
        .where(or_(func.coalesce(jobs.c.billed_s, 0) != captured, func.coalesce(jobs.c.cost_micros, 0) != charged))
    )


def _priced(dialects: Collection[str]) -> ColumnElement[bool]:
    """A file of a batch has no price of its own."""
    return jobs.c.state.in_(sorted(ENDED)) & jobs.c.dialect.in_(sorted(dialects)) & jobs.c.batch_id.is_(None)


MONTHS = _months()
WALLETS = _wallets()
MINUTES_HELD = _idle(ledger_entries, ledger_entries.c.included_s + ledger_entries.c.overage_s, "held_s")
MONEY_HELD = _idle(wallet_entries, wallet_entries.c.amount_micros, "held_micros")
