"""The `Books` port: sums that are compared with other sums by the database itself. Nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select, union_all

from tiro.adapters.database import books_money as money
from tiro.adapters.database.books_sums import SHOULD, differences, unequal
from tiro.adapters.database.rows import Rows, read
from tiro.adapters.database.tables import (
    accounts,
    batch_files,
    deliveries,
    jobs,
    ledger_entries,
    orders,
    uploads,
    wallet_entries,
)
from tiro.model.audit import Difference, JobLine
from tiro.model.job import ENDED

_ENDED = jobs.c.state.in_(sorted(ENDED))
_COUNTED = {
    "accounts": accounts,
    "jobs": jobs,
    "batch_files": batch_files,
    "minute_entries": ledger_entries,
    "wallet_entries": wallet_entries,
    "events": deliveries,
    "orders": orders,
}
_LINE = [jobs.c[field] for field in JobLine.__struct_fields__]


class SqlBooks:
    """The `Books` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def totals(self) -> dict[str, int]:
        return {
            name: int(await self._rows.value(select(func.count()).select_from(table)))
            for name, table in _COUNTED.items()
        }

    async def slots(self) -> list[Difference]:
        taken = select(jobs.c.account_id, func.count().label("many")).where(jobs.c.admitted, ~_ENDED)
        held = taken.group_by(jobs.c.account_id).subquery()
        should = func.coalesce(held.c.many, 0)
        counted = select(accounts.c.account_id, accounts.c.running, should.label("running_should"))
        query = counted.outerjoin(held, held.c.account_id == accounts.c.account_id).where(accounts.c.running != should)
        return differences(await self._rows.all(query), ("account_id",), ("running",))

    async def months(self) -> list[Difference]:
        return differences(await self._rows.all(money.MONTHS), ("account_id", "month"), money.MONTH_SUMS)

    async def minutes_held(self) -> list[Difference]:
        return differences(await self._rows.all(money.MINUTES_HELD), ("job_id",), ("held_s",))

    async def minutes_charged(self, dialects: Collection[str]) -> list[Difference]:
        return differences(
            await self._rows.all(money.minutes_charged(dialects)), ("job_id",), ("billed_s", "overage_s")
        )

    async def wallets(self) -> list[Difference]:
        return differences(await self._rows.all(money.WALLETS), ("account_id",), money.WALLET_SUMS)

    async def money_held(self) -> list[Difference]:
        return differences(await self._rows.all(money.MONEY_HELD), ("job_id",), ("held_micros",))

    async def money_charged(self, dialects: Collection[str]) -> list[Difference]:
        found = await self._rows.all(money.money_charged(dialects))
        return differences(found, ("job_id",), ("billed_s", "cost_micros"))

    async def batches(self, before: datetime) -> list[Difference]:
        return [
            *differences(
                await self._rows.all(_batch_counts()), ("job_id",), ("files_done", "files_failed", "files_ended")
            ),
            *differences(await self._rows.all(_batch_seconds()), ("job_id", "run"), ("charged_s",)),
            *differences(await self._rows.all(_open_files(before)), ("job_id",), ("open_files",)),
        ]

    async def events(self) -> list[Difference]:
        sent = select(deliveries.c.job_id, func.count().label("many")).group_by(deliveries.c.job_id).subquery()
        there = func.coalesce(sent.c.many, 0)
        should = case((_ENDED, jobs.c.run), else_=jobs.c.run - 1)
        counted = select(jobs.c.job_id, there.label("events"), should.label("events_should"))
        query = counted.outerjoin(sent, sent.c.job_id == jobs.c.job_id)
        query = query.where(jobs.c.webhook_url.is_not(None), there != should)
        return differences(await self._rows.all(query), ("job_id",), ("events",))

    async def late_events(self, before: datetime, after: str, limit: int) -> list[str]:
        ordered = exists().where(orders.c.event_id == deliveries.c.event_id, orders.c.kind == "delivery")
        late = (deliveries.c.state == "pending") & (deliveries.c.next_attempt_at < before) & ~ordered
        query = select(deliveries.c.event_id).where(late, deliveries.c.event_id > after)
        return [row["event_id"] for row in await self._rows.all(query.order_by(deliveries.c.event_id).limit(limit))]

    async def lines(self, after: str, limit: int) -> list[JobLine]:
        return await self._page(jobs.c.batch_id.is_(None), after, limit)

    async def lines_of(self, job_ids: Sequence[str]) -> dict[str, JobLine]:
        rows = await self._rows.all(select(*_LINE).where(jobs.c.job_id.in_(job_ids)))
        return {row["job_id"]: read(JobLine, row) for row in rows}

    async def under_way(self, after: str, limit: int) -> list[JobLine]:
        ordered = exists().where(orders.c.job_id == jobs.c.job_id, orders.c.run == jobs.c.run)
        told = (jobs.c.state == "queued") & jobs.c.admitted & ~ordered
        return await self._page(or_(jobs.c.state == "processing", told), after, limit)

    async def uploads(self, job_ids: Sequence[str]) -> set[str]:
        rows = await self._rows.all(select(uploads.c.job_id).where(uploads.c.job_id.in_(job_ids)))
        return {row["job_id"] for row in rows}

    async def _page(self, which: ColumnElement[bool], after: str, limit: int) -> list[JobLine]:
        query = select(*_LINE).where(which, jobs.c.job_id > after).order_by(jobs.c.job_id).limit(limit)
        return [read(JobLine, row) for row in await self._rows.all(query)]


def _batch_counts() -> Select[Any]:
    """A batch that waits for its next run has forgotten what failed, and its rows not yet."""
    files = batch_files.c
    ended = func.sum(case((files.state.in_(("completed", "failed")), 1), else_=0))
    failed = func.sum(case((files.state == "failed", 1), else_=0))
    rows = select(files.job_id, ended.label("ended"), failed.label("failed")).group_by(files.job_id).subquery()
    has_ended, has_failed = func.coalesce(rows.c.ended, 0), func.coalesce(rows.c.failed, 0)
    # of one that is completed every file has an end
    all_ended = case((jobs.c.state == "completed", jobs.c.files_total), else_=has_ended)
    pairs = (
        ("files_done", jobs.c.files_done, has_ended),
        ("files_failed", jobs.c.files_failed, has_failed),
        ("files_ended", has_ended, all_ended),
    )
    columns = [one for name, there, should in pairs for one in (there.label(name), should.label(name + SHOULD))]
    counted = select(jobs.c.job_id, *columns).outerjoin(rows, rows.c.job_id == jobs.c.job_id)
    wrong = or_(*(there != should for _, there, should in pairs))
    return counted.where(jobs.c.files_total.is_not(None), jobs.c.state != "queued", wrong)


def _batch_seconds() -> Select[Any]:
    """Run by run: what was captured, and what was completed; nothing while it is under way, or of a run that failed."""
    files, entries = batch_files.c, wallet_entries.c
    completed = (
        select(files.job_id, files.run, literal(0).label("charged_s"), files.seconds.label("charged_s_should"))
        .join(jobs, jobs.c.job_id == files.job_id)
        .where(files.state == "completed", _was_charged())
    )
    captured = (
        select(entries.job_id, entries.run, entries.seconds, literal(0))
        .join(jobs, jobs.c.job_id == entries.job_id)
        .where(entries.kind == "capture", jobs.c.files_total.is_not(None))
    )
    return unequal(union_all(completed, captured), ("job_id", "run"), ("charged_s",))


def _was_charged() -> ColumnElement[bool]:
    """Whether what a run completed is paid. A run takes over what one that failed had completed; cancelled before it held for that, it
    is charged nothing.
    """
    holds, files = wallet_entries.c, batch_files.c
    held = exists().where(holds.job_id == files.job_id, holds.run == files.run, holds.kind == "hold")
    return or_(files.run < jobs.c.run, jobs.c.state == "completed", and_(jobs.c.state == "cancelled", held))


def _open_files(before: datetime) -> Select[Any]:
    """Files with a row of their own that stand open although their batch ended."""
    batch = jobs.alias()
    many = func.count().label("open_files")
    return (
        select(batch.c.job_id, many, literal(0).label("open_files_should"))
        .join(jobs, jobs.c.batch_id == batch.c.job_id)
        .where(and_(batch.c.state.in_(sorted(ENDED)), batch.c.ended_at < before, ~_ENDED))
        .group_by(batch.c.job_id)
    )
