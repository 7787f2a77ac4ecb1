"""The files of batches in the database: each gets each of its states once, and the job's row counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, case, delete, func, select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import batch_files as files
from tiro.adapters.database.tables import jobs
from tiro.model.batch import BatchFile, Tally

_END = ("state", "pack", "error_code", "error_reason")


class SqlBatches:
    """The `Batches` port inside one transaction. The job's row is locked first: tallies follow one another."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def prepare(self, job_id: str, run: int, seconds: Mapping[int, int]) -> Tally:
        if seconds and await self._under_way(job_id, run):
            fresh = [
                BatchFile(job_id=job_id, index=index, run=run, state="prepared", seconds=length)
                for index, length in seconds.items()
            ]
            if await self._rows.insert_new(files, *map(write, fresh)) < len(fresh):
                await self._lengthen(job_id, run, seconds)
        return await self.tally(job_id, run)

    async def _lengthen(self, job_id: str, run: int, seconds: Mapping[int, int]) -> None:
        """What is to be heard now may be longer than what was there when it was prepared before."""
        length = case(dict(seconds), value=files.c.index, else_=0)
        these = and_(files.c.job_id == job_id, files.c.run == run, files.c.index.in_(list(seconds)))
        longer = and_(these, files.c.state == "prepared", files.c.seconds < length)
        await self._rows.run(update(files).where(longer).values(seconds=length))

    async def settle(self, settled: Sequence[BatchFile]) -> Tally:
        job_id, run = settled[0].job_id, settled[0].run
        if not await self._under_way(job_id, run):
            return await self.tally(job_id, run)
        await self._rows.insert_new(files, *map(write, settled))
        for end, indexes in _by_end(settled).items():
            these = and_(files.c.job_id == job_id, files.c.index.in_(indexes), files.c.state == "prepared")
            change = dict(zip(_END, end, strict=True)) | {"run": run}
            if change["state"] == "failed":
                change["seconds"] = 0
            await self._rows.run(update(files).where(these).values(change))
        tally = await self.tally(job_id, run)
        counted = {"files_done": tally.completed + tally.failed, "files_failed": tally.failed}
        await self._rows.run(update(jobs).where(jobs.c.job_id == job_id).values(counted))
        return tally

    async def tally(self, job_id: str, run: int) -> Tally:
        def seconds(*states: str) -> object:
            counts = and_(files.c.run == run, files.c.state.in_(states))
            return func.coalesce(func.sum(case((counts, files.c.seconds), else_=0)), 0)

        def count(state: str) -> object:
            return func.coalesce(func.sum(case((files.c.state == state, 1), else_=0)), 0)

        row = await self._rows.one(
            select(
                count("completed").label("completed"),  # type: ignore[attr-defined]
                count("failed").label("failed"),  # type: ignore[attr-defined]
                seconds("prepared", "completed").label("prepared_s"),  # type: ignore[attr-defined]
                seconds("completed").label("completed_s"),  # type: ignore[attr-defined]
            ).where(files.c.job_id == job_id)
        )
        assert row is not None
        return Tally(**{name: int(value) for name, value in row.items()})

    async def files(self, job_id: str, first: int = 0, count: int = 1_000_000) -> list[BatchFile]:
        these = and_(files.c.job_id == job_id, files.c.index >= first, files.c.index < first + count)
        return [
            read(BatchFile, row) for row in await self._rows.all(select(files).where(these).order_by(files.c.index))
        ]

    async def begin_again(self, job_id: str, run: int, *, unpaid: bool) -> None:
        await self._rows.run(delete(files).where(files.c.job_id == job_id, files.c.state != "completed"))
        if unpaid:
            last = and_(files.c.job_id == job_id, files.c.run == run - 1)
            await self._rows.run(update(files).where(last).values(run=run))

    async def _under_way(self, job_id: str, run: int) -> bool:
        this = and_(jobs.c.job_id == job_id, jobs.c.run == run, jobs.c.state == "processing")
        return await self._rows.value(select(jobs.c.job_id).where(this).with_for_update(key_share=True)) is not None


def _by_end(settled: Sequence[BatchFile]) -> dict[tuple[str | None, ...], list[int]]:
    """Those of a pack mostly end alike: one statement for all of them."""
    ends: dict[tuple[str | None, ...], list[int]] = {}
    for file in settled:
        ends.setdefault(tuple(getattr(file, field) for field in _END), []).append(file.index)
    return ends
