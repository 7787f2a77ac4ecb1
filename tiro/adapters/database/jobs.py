"""Job rows and orders in the database: every change of state is one conditional UPDATE."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, literal, or_, select, update

from tiro.adapters.database import admission, ahead
from tiro.adapters.database.columns import Moment
from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import accounts, failures, job_spans, jobs, orders, uploads
from tiro.model.job import ENDED, Ending, Job, JobPatch, JobState, Order
from tiro.model.pace import Hearing, beaten
from tiro.model.request import Source, is_brought
from tiro.model.upload import WRITTEN_WITHIN

_OPEN = jobs.c.state.in_(("queued", "processing"))
_LATE_WRITERS = timedelta(minutes=10)
"""How long after the tombstone an attempt that lost its heartbeat may still write; a client with addresses may for longer."""

_INSERT = insert(jobs)
_JOB = select(jobs).where(jobs.c.job_id == bindparam("job_id"))
_JOB_OF = _JOB.where(jobs.c.account_id == bindparam("account_id"), jobs.c.deleted_at.is_(None))


class SqlJobs:
    """The `Jobs` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, job: Job, *, brought: bool = True) -> None:
        await self._rows.run(_INSERT, write(job))
        if brought and not job.awaiting:
            await self.drop_upload(job.job_id)

    async def arrive(self, job_id: str, source: Source, now: datetime) -> Job | None:
        awaiting = update(jobs).where(jobs.c.job_id == job_id, _OPEN, jobs.c.awaiting, jobs.c.deleted_at.is_(None))
        row = await self._rows.one(awaiting.values(awaiting=False, source=source, changed_at=now).returning(jobs))
        if row is None:
            return None
        await self.drop_upload(job_id)
        return read(Job, row)

    async def get(self, job_id: str, account_id: str | None = None) -> Job | None:
        query = _JOB if account_id is None else _JOB_OF
        row = await self._rows.one(query, {"job_id": job_id, "account_id": account_id})
        return None if row is None else read(Job, row)

    async def lock(self, job_id: str) -> Job | None:
        row = await self._rows.one(select(jobs).where(jobs.c.job_id == job_id).with_for_update(key_share=True))
        return None if row is None else read(Job, row)

    async def page(
        self,
        account_id: str | None,
        *,
        dialect: str | None = None,
        reference: str | None = None,
        state: JobState | None = None,
        changed_since: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Job]:
        query = select(jobs).where(jobs.c.deleted_at.is_(None), jobs.c.batch_id.is_(None))
        if account_id is not None:
            query = query.where(jobs.c.account_id == account_id)
        if dialect is not None:
            query = query.where(jobs.c.dialect == dialect)
        if reference is not None:
            query = query.where(jobs.c.reference == reference)
        if state is not None:
            query = query.where(jobs.c.state == state)
        if changed_since is not None:
            query = query.where(jobs.c.changed_at >= changed_since)
        if after is not None:
            moment, job_id = after
            query = query.where(
                or_(jobs.c.changed_at < moment, and_(jobs.c.changed_at == moment, jobs.c.job_id < job_id))
            )
        rows = await self._rows.all(query.order_by(jobs.c.changed_at.desc(), jobs.c.job_id.desc()).limit(limit))
        return [read(Job, row) for row in rows]

    async def count_open(self, account_id: str) -> int:
        return int(
            await self._rows.value(
                select(func.count())
                .select_from(jobs)
                .where(jobs.c.account_id == account_id, _OPEN, ~jobs.c.awaiting, jobs.c.batch_id.is_(None))
            )
        )

    async def count_awaiting(self, account_id: str) -> int:
        awaiting = (jobs.c.account_id == account_id, jobs.c.state == "queued", jobs.c.awaiting)
        return int(await self._rows.value(select(func.count()).select_from(jobs).where(*awaiting)))

    async def admit(self, now: datetime, caps: Mapping[str, int], limit: int = 100) -> list[Order]:
        return await admission.admit(self._rows, caps, limit)

    async def order_fetches(self, caps: Mapping[str, int], limit: int = 100) -> list[Order]:
        return await ahead.order_fetches(self._rows, caps, limit)

    async def orders(self, limit: int = 100) -> list[Order]:
        rows = await self._rows.all(select(orders).order_by(orders.c.number).limit(limit))
        return [read(Order, row) for row in rows]

    async def add_order(self, order: Order) -> None:
        await self._rows.insert_new(orders, write(order))

    async def drop_order(self, order: Order) -> None:
        await self._rows.run(delete(orders).where(*(orders.c[field] == value for field, value in write(order).items())))

    async def claim(self, job_id: str, run: int, claim: str, now: datetime) -> Job | None:
        queued = update(jobs).where(_run_of(job_id, run), jobs.c.state == "queued")
        row = await self._rows.one(
            queued.values(state="processing", claim=claim, started_at=now, changed_at=now).returning(jobs)
        )
        if row is None:
            mine = _run_of(job_id, run) & (jobs.c.state == "processing") & (jobs.c.claim == claim)
            row = await self._rows.one(select(jobs).where(mine))
        if row is None:
            return None
        await self._drop_start(job_id, run)
        return read(Job, row)

    async def patch(self, job_id: str, run: int, patch: JobPatch, now: datetime) -> bool:
        values = {field: value for field, value in write(patch).items() if value is not msgspec.UNSET}
        processing = _run_of(job_id, run) & (jobs.c.state == "processing")
        if not values:
            return await self._rows.value(select(jobs.c.job_id).where(processing)) is not None
        return await self._rows.run(update(jobs).where(processing).values(values)) == 1

    async def span_done(
        self, job_id: str, run: int, plan: str, index: int, now: datetime, hearing: Hearing | None = None
    ) -> int | None:
        """Spans are counted per run and plan: a retry starts at 0 and counts again what is reported again, done before or not."""
        processing = _run_of(job_id, run) & (jobs.c.state == "processing")
        held = select(jobs.c.started_at, jobs.c.pace).where(processing).with_for_update(key_share=True)
        row = await self._rows.one(held)
        if row is None:
            return None
        span = {"job_id": job_id, "run": run, "plan": plan, "index": index}
        new = await self._rows.insert_new(job_spans, span)
        done = select(func.count()).select_from(job_spans)
        done = done.where(job_spans.c.job_id == job_id, job_spans.c.run == run, job_spans.c.plan == plan)
        change: dict[str, Any] = {"spans_done": done.scalar_subquery()}
        if new and hearing is not None:
            change["pace"] = beaten(row["pace"], hearing, row["started_at"], now)
        counted = update(jobs).where(processing).values(change).returning(jobs.c.spans_done)
        return int(await self._rows.value(counted))

    async def finish(self, job_id: str, run: int, ending: Ending, now: datetime, purge_after: datetime) -> Job | None:
        fields = write(ending)
        fields["state"] = fields.pop("outcome")
        fields |= {"ended_at": now, "changed_at": now, "purge_after": purge_after, "stage": "ended", "paused": False}
        row = await self._rows.one(update(jobs).where(_run_of(job_id, run), _OPEN).values(fields).returning(jobs))
        if row is None:
            return None
        job = read(Job, row)
        if job.admitted:
            await self._give_slot_back(job)
        await self._drop_start(job_id, run)
        await self.drop_upload(job_id)
        return msgspec.structs.replace(job, admitted=False)

    async def begin_upload(self, job_id: str, account_id: str, now: datetime) -> None:
        row = {"job_id": job_id, "account_id": account_id, "began_at": now}
        await self._rows.upsert(uploads, row, ("job_id",), {"began_at": literal(now, Moment)})

    async def drop_upload(self, job_id: str) -> None:
        await self._rows.run(delete(uploads).where(uploads.c.job_id == job_id))

    async def stale_uploads(self, before: datetime, limit: int = 100, *, oldest: datetime | None = None) -> list[str]:
        stale: ColumnElement[bool] = uploads.c.began_at < before
        if oldest is not None:
            stale |= exists().where(jobs.c.job_id == uploads.c.job_id, jobs.c.created_at < oldest)
        query = select(uploads.c.job_id).where(stale).order_by(uploads.c.began_at).limit(limit)
        return [row["job_id"] for row in await self._rows.all(query)]

    async def uploads_since(self, moment: datetime) -> set[str]:
        query = select(uploads.c.job_id).where(uploads.c.began_at >= moment)
        return {row["job_id"] for row in await self._rows.all(query)}

    async def retry(self, job_id: str, now: datetime) -> Job | None:
        """What the recording is (source, length, language) stays known; what the run made of it is forgotten."""
        ended = update(jobs).where(
            jobs.c.job_id == job_id,
            jobs.c.state.in_(("failed", "cancelled")) | ((jobs.c.state == "completed") & (jobs.c.files_failed > 0)),
            jobs.c.deleted_at.is_(None),
        )
        row = await self._rows.one(ended.values(_anew(now) | {"run": jobs.c.run + 1}).returning(jobs))
        return None if row is None else read(Job, row)

    async def open_file(self, file: Job, now: datetime) -> Job:
        await self._rows.insert_new(jobs, write(file))
        earlier = update(jobs).where(jobs.c.job_id == file.job_id, jobs.c.run < file.run, jobs.c.deleted_at.is_(None))
        again = _anew(now) | {"run": file.run, "source": file.source, "options": file.options}
        await self._rows.run(earlier.values(again))
        job = await self.get(file.job_id)
        assert job is not None
        return job

    async def expired(self, now: datetime, limit: int = 100) -> list[str]:
        due = (jobs.c.expires_at <= now) & jobs.c.deleted_at.is_(None) & jobs.c.state.in_(sorted(ENDED))
        query = select(jobs.c.job_id).where(due).order_by(jobs.c.expires_at, jobs.c.job_id).limit(limit)
        return [row["job_id"] for row in await self._rows.all(query)]

    async def mark_deleted(self, job_id: str, now: datetime) -> None:
        standing = (jobs.c.job_id == job_id) & jobs.c.deleted_at.is_(None)
        row = await self._rows.one(update(jobs).where(standing).values(deleted_at=now).returning(jobs.c.files_total))
        if row is not None and row["files_total"] is not None:
            files = (jobs.c.batch_id == job_id) & jobs.c.deleted_at.is_(None)
            await self._rows.run(update(jobs).where(files).values(deleted_at=now))

    async def is_deleted(self, job_id: str) -> bool:
        alive = select(jobs.c.job_id).where(jobs.c.job_id == job_id, jobs.c.deleted_at.is_(None))
        return await self._rows.value(alive) is None

    async def purgeable(self, now: datetime, limit: int = 100) -> list[Job]:
        keeps = exists().where(accounts.c.account_id == jobs.c.account_id, accounts.c.keep_audio)
        expired = jobs.c.state.in_(sorted(ENDED)) & (jobs.c.purge_after <= now) & jobs.c.source_deleted_at.is_(None)
        # a file of a batch lies below its batch, and goes with it
        expired &= (jobs.c.trimmed_at.is_(None) | ~keeps) & jobs.c.batch_id.is_(None)
        unswept = jobs.c.deleted_at.is_not(None) & jobs.c.swept_at.is_(None)
        query = select(jobs).where(or_(expired, unswept)).order_by(jobs.c.changed_at, jobs.c.job_id).limit(limit)
        return [read(Job, row) for row in await self._rows.all(query)]

    async def mark_trimmed(self, job_id: str, now: datetime) -> None:
        ended = (jobs.c.job_id == job_id) & jobs.c.state.in_(sorted(ENDED)) & jobs.c.source_deleted_at.is_(None)
        await self._rows.run(update(jobs).where(ended).values(trimmed_at=now))

    async def mark_source_deleted(self, job_id: str, now: datetime) -> None:
        """A deleted job is swept by a mark that comes when no late writer can be left; until then it stays purgeable."""
        standing = or_(jobs.c.job_id == job_id, jobs.c.batch_id == job_id) & jobs.c.source_deleted_at.is_(None)
        await self._rows.run(update(jobs).where(standing).values(source_deleted_at=now))
        job = await self.get(job_id)
        late = WRITTEN_WITHIN if job is not None and is_brought(job.source) else _LATE_WRITERS
        quiet = (jobs.c.job_id == job_id) & (jobs.c.deleted_at <= now - late) & jobs.c.swept_at.is_(None)
        await self._rows.run(update(jobs).where(quiet).values(swept_at=now))

    async def count_failure(self, job_id: str, run: int, station: str, index: int, code: str) -> int:
        key = {"job_id": job_id, "run": run, "station": station, "index": index, "code": code}
        row = await self._rows.upsert(failures, {**key, "times": 1}, list(key), {"times": failures.c.times + 1})
        return int(row["times"])

    async def forget_failures(self, job_id: str, run: int, station: str, index: int, code: str) -> None:
        f = failures.c
        mine = and_(f.job_id == job_id, f.run == run, f.station == station, f.index == index, f.code == code)
        await self._rows.run(delete(failures).where(mine))

    async def running_since(self, before: datetime, limit: int = 1000) -> list[Job]:
        begun = (jobs.c.state == "processing") & (jobs.c.started_at < before)
        ordered = exists().where(orders.c.job_id == jobs.c.job_id, orders.c.run == jobs.c.run)
        told = (jobs.c.state == "queued") & jobs.c.admitted & (jobs.c.changed_at < before) & ~ordered
        batch = jobs.alias()
        ended = exists().where(batch.c.job_id == jobs.c.batch_id, batch.c.ended_at < before)
        left = (jobs.c.state == "queued") & jobs.c.batch_id.is_not(None) & ended
        query = select(jobs).where(or_(begun, told, left))
        rows = await self._rows.all(query.order_by(jobs.c.changed_at, jobs.c.job_id).limit(limit))
        return [read(Job, row) for row in rows]

    async def _give_slot_back(self, job: Job) -> None:
        await self._rows.run(update(jobs).where(jobs.c.job_id == job.job_id).values(admitted=False))
        account = update(accounts).where(accounts.c.account_id == job.account_id)
        await self._rows.run(account.values(running=accounts.c.running - 1))

    async def _drop_start(self, job_id: str, run: int) -> None:
        for kind in ("transcription", "batch"):
            await self._rows.run(delete(orders).where(*_order(kind, job_id, run)))


def _anew(now: datetime) -> dict[str, Any]:
    """What the next run begins with."""
    fresh = {
        "state": "queued",
        "changed_at": now,
        "stage": "queued",
        "admitted": False,
        "paused": False,
        "spans_done": 0,
        "fallback": False,
        "warnings": (),
        "error_extras": {},
        "pace": (),
        "files_done": jobs.c.files_done - jobs.c.files_failed,
        "files_failed": 0,
    }
    gone = (
        *("started_at", "ended_at", "claim", "spans_total", "plan", "engine", "diarizer", "transcript"),
        *("error_code", "error_reason", "billed_s", "overage_s", "purge_after", "trimmed_at"),
        *("cost_micros", "balance_micros", "expires_at"),
    )
    return fresh | dict.fromkeys(gone)


def _order(kind: str, job_id: str, run: int) -> tuple[ColumnElement[bool], ...]:
    return orders.c.kind == kind, orders.c.job_id == job_id, orders.c.run == run


def _run_of(job_id: str, run: int) -> ColumnElement[bool]:
    return and_(jobs.c.job_id == job_id, jobs.c.run == run)
