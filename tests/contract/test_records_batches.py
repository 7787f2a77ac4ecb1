"""What every database promises of the files of batches: each state once, and the job's row counts them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contract.records_nouns import account, given, job, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.batch import BatchFile, Tally
from tiro.model.blob import BlobRef, file_id
from tiro.model.job import Ending, Job
from tiro.model.request import ManifestSource, UploadedSource

FAILED = Ending(outcome="failed", error_code="transient_error")


def batch(files: int = 5, **fields: Any) -> Job:
    source = ManifestSource(BlobRef("jobs/job_1/manifest/index.json", 9, "00" * 32), files)
    return job(source=source, files_total=files, dialect="transcribe", **fields)


def ended(index: int, state: str = "completed", run: int = 1, seconds: int = 0, **fields: Any) -> BatchFile:
    return BatchFile(job_id="job_1", index=index, run=run, state=state, seconds=seconds, **fields)  # type: ignore[arg-type]


def refused(index: int, run: int = 1) -> BatchFile:
    return ended(index, "failed", run, error_code="invalid_audio", error_reason="empty_audio")


@pytest.fixture
async def under_way(records: SqlRecords) -> SqlRecords:
    await given(records, account(), batch())
    await within(records, lambda tx: tx.jobs.claim("job_1", 1, "claim", START))
    return records


async def counted(records: SqlRecords) -> tuple[int, int]:
    found = await within(records, lambda tx: tx.jobs.get("job_1"))
    assert found is not None
    return found.files_done, found.files_failed


async def test_files_are_prepared_and_then_completed_or_failed(under_way: SqlRecords) -> None:
    tally = await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {0: 10, 1: 20, 2: 30}))
    assert tally == Tally(completed=0, failed=0, prepared_s=60, completed_s=0)
    done = [ended(0, pack="a"), ended(1, pack="a"), refused(2), refused(3)]
    tally = await within(under_way, lambda tx: tx.batches.settle(done))
    assert tally == Tally(completed=2, failed=2, prepared_s=30, completed_s=30)
    assert await counted(under_way) == (4, 2)
    files = await within(under_way, lambda tx: tx.batches.files("job_1"))
    assert [(file.index, file.state, file.seconds, file.pack, file.error_code) for file in files] == [
        (0, "completed", 10, "a", None),
        (1, "completed", 20, "a", None),
        (2, "failed", 0, None, "invalid_audio"),
        (3, "failed", 0, None, "invalid_audio"),
    ]


async def test_what_is_reported_again_changes_nothing(under_way: SqlRecords) -> None:
    """Nor does another end, or another length."""
    for _ in range(2):
        await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {0: 10}))
        tally = await within(under_way, lambda tx: tx.batches.settle([ended(0, pack="a")]))
    again = await within(under_way, lambda tx: tx.batches.settle([refused(0), ended(0, pack="b")]))
    late = await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {0: 99}))
    assert tally == again == late == Tally(completed=1, failed=0, prepared_s=10, completed_s=10)
    assert [file.pack for file in await within(under_way, lambda tx: tx.batches.files("job_1"))] == ["a"]


async def test_a_file_that_is_prepared_again_is_paid_for_as_the_longest_that_it_was(under_way: SqlRecords) -> None:
    """Whoever brings another in its place before it is heard pays for that one."""
    for seconds, in_all in (({0: 10, 1: 5}, 15), ({0: 99, 1: 5, 2: 1}, 105), ({0: 3}, 105)):
        tally = await within(under_way, lambda tx, s=seconds: tx.batches.prepare("job_1", 1, s))
        assert tally.prepared_s == in_all


async def test_a_file_may_end_without_having_been_prepared(under_way: SqlRecords) -> None:
    tally = await within(under_way, lambda tx: tx.batches.settle([ended(4, seconds=7, pack=""), refused(1)]))
    assert tally == Tally(completed=1, failed=1, prepared_s=7, completed_s=7)


@pytest.mark.parametrize("run", [0, 2])
async def test_another_run_is_told_nothing(under_way: SqlRecords, run: int) -> None:
    await within(under_way, lambda tx: tx.batches.prepare("job_1", run, {0: 10}))
    await within(under_way, lambda tx: tx.batches.settle([refused(1, run)]))
    assert await within(under_way, lambda tx: tx.batches.files("job_1")) == []


async def test_a_batch_that_has_ended_is_told_nothing(under_way: SqlRecords) -> None:
    await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {0: 10}))
    await within(under_way, lambda tx: tx.jobs.finish("job_1", 1, FAILED, START, START))
    await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {1: 10}))
    tally = await within(under_way, lambda tx: tx.batches.settle([ended(0)]))
    assert (tally.completed, await counted(under_way)) == (0, (0, 0))
    assert len(await within(under_way, lambda tx: tx.batches.files("job_1"))) == 1


async def test_rows_of_a_page_are_read_alone(under_way: SqlRecords) -> None:
    await within(under_way, lambda tx: tx.batches.settle([refused(index) for index in (4, 0, 3)]))
    assert [file.index for file in await within(under_way, lambda tx: tx.batches.files("job_1", 0, 4))] == [0, 3]


async def test_the_next_run_begins_with_what_is_completed(under_way: SqlRecords) -> None:
    """What failed, or was only prepared, is forgotten; seconds count for the run that brought them."""
    await within(under_way, lambda tx: tx.batches.prepare("job_1", 1, {0: 10, 1: 20}))
    await within(under_way, lambda tx: tx.batches.settle([ended(0), refused(2)]))
    await within(under_way, lambda tx: tx.jobs.finish("job_1", 1, FAILED, START, START))
    again = await within(under_way, lambda tx: tx.jobs.retry("job_1", START))
    assert again is not None
    assert (again.run, again.files_done, again.files_failed) == (2, 1, 0)
    await within(under_way, lambda tx: tx.batches.begin_again("job_1", 2, unpaid=False))
    assert [file.index for file in await within(under_way, lambda tx: tx.batches.files("job_1"))] == [0]
    await within(under_way, lambda tx: tx.jobs.claim("job_1", 2, "claim", START))
    tally = await within(under_way, lambda tx: tx.batches.settle([ended(1, run=2, seconds=20)]))
    assert tally == Tally(completed=2, failed=0, prepared_s=20, completed_s=20)
    assert await counted(under_way) == (2, 0)


async def test_what_nobody_paid_counts_for_the_next_run(under_way: SqlRecords) -> None:
    """Not so what a run before that had completed: that one was paid."""
    await within(under_way, lambda tx: tx.batches.settle([ended(0, seconds=10)]))
    for run in (1, 2):
        await within(under_way, lambda tx, r=run: tx.jobs.finish("job_1", r, FAILED, START, START))
        await within(under_way, lambda tx: tx.jobs.retry("job_1", START))
        await within(under_way, lambda tx, r=run: tx.batches.begin_again("job_1", r + 1, unpaid=r == 2))
        await within(under_way, lambda tx, r=run: tx.jobs.claim("job_1", r + 1, "claim", START))
        await within(under_way, lambda tx, r=run: tx.batches.settle([ended(r, run=r + 1, seconds=20)]))
    files = await within(under_way, lambda tx: tx.batches.files("job_1"))
    assert [(file.index, file.run) for file in files] == [(0, 1), (1, 3), (2, 3)]
    assert (await within(under_way, lambda tx: tx.batches.tally("job_1", 3))).completed_s == 40


async def test_a_completed_batch_is_retried_only_for_its_failed_files(under_way: SqlRecords) -> None:
    completed = Ending(outcome="completed")
    await within(under_way, lambda tx: tx.batches.settle([ended(0)]))
    await within(under_way, lambda tx: tx.jobs.finish("job_1", 1, completed, START, START))
    assert await within(under_way, lambda tx: tx.jobs.retry("job_1", START)) is None


async def test_parallel_packs_are_all_counted(postgres_url: str, clock: SteppedClock) -> None:
    """Two processes settle packs of one batch at once, some of them twice."""
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account(), batch(files=200))
        await within(one, lambda tx: tx.jobs.claim("job_1", 1, "claim", START))

        async def pack(records: SqlRecords, first: int) -> None:
            files = range(first, first + 10)
            await within(records, lambda tx: tx.batches.prepare("job_1", 1, dict.fromkeys(files, 3)))
            await within(
                records,
                lambda tx: tx.batches.settle([ended(n, pack=str(first)) if n % 10 else refused(n) for n in files]),
            )

        await asyncio.gather(*(pack(records, first) for first in range(0, 200, 10) for records in (one, other)))
        tally = await within(one, lambda tx: tx.batches.tally("job_1", 1))
        assert tally == Tally(completed=180, failed=20, prepared_s=540, completed_s=540)
        assert await counted(one) == (200, 20)


async def test_a_long_file_has_a_row_in_the_batchs_run(under_way: SqlRecords) -> None:
    """Once; again in the next run it goes on, whatever had become of it; it has no place in any line or list."""
    row = job(file_id("job_1", 3), batch_id="job_1", dialect="transcribe")
    first = await within(under_way, lambda tx: tx.jobs.open_file(row, START))
    twice = await within(under_way, lambda tx: tx.jobs.open_file(row, START))
    assert first == twice
    assert (first.state, first.run) == ("queued", 1)
    await within(under_way, lambda tx: tx.jobs.claim(row.job_id, 1, "claim", START))
    await within(under_way, lambda tx: tx.jobs.finish(row.job_id, 1, FAILED, START, START))
    ended_row = await within(under_way, lambda tx: tx.jobs.open_file(row, START))
    assert ended_row.state == "failed"
    source = UploadedSource(BlobRef("jobs/job_1/files/00003/source", 7, None))
    later = job(row.job_id, batch_id="job_1", run=3, source=source)
    third = await within(under_way, lambda tx: tx.jobs.open_file(later, START))
    assert (third.state, third.run, third.error_code, third.source) == ("queued", 3, None, source)
    assert await within(under_way, lambda tx: tx.jobs.admit(START, {"free": 5})) == []
    assert [one.job_id for one in await within(under_way, lambda tx: tx.jobs.page("acct_1"))] == ["job_1"]


async def test_files_that_never_began_are_known_when_their_batch_has_ended(
    under_way: SqlRecords, clock: SteppedClock
) -> None:
    """Not before; and they are purged with it, not by themselves."""
    row = job(file_id("job_1", 3), batch_id="job_1", dialect="transcribe")
    await within(under_way, lambda tx: tx.jobs.open_file(row, START))
    later = clock.step(1000)
    before = await within(under_way, lambda tx: tx.jobs.running_since(later))
    await within(under_way, lambda tx: tx.jobs.finish("job_1", 1, FAILED, START, START))
    after = await within(under_way, lambda tx: tx.jobs.running_since(later))
    assert ([one.job_id for one in before], [one.job_id for one in after]) == (["job_1"], [row.job_id])
    await within(under_way, lambda tx: tx.jobs.finish(row.job_id, 1, FAILED, START, START))
    due = await within(under_way, lambda tx: tx.jobs.purgeable(later))
    assert [one.job_id for one in due] == ["job_1"]
    await within(under_way, lambda tx: tx.jobs.mark_source_deleted("job_1", later))
    file = await within(under_way, lambda tx: tx.jobs.get(row.job_id))
    assert file is not None
    assert file.source_deleted_at == later
