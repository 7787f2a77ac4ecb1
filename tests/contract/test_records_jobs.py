"""Does a job's row change only as its state allows, once, and come back as it was?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.contract.records_nouns import CAPS, DONE, account, given, job, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.blob import BlobRef
from tiro.model.errors import Conflict, Invalid
from tiro.model.hook import SealedUrl
from tiro.model.job import Ending, Job, JobPatch, Order
from tiro.model.pace import KEPT, Beat, Hearing
from tiro.model.request import AwaitedSource, JobOptions, UrlSource
from tiro.model.upload import URLS_LIVE, WRITTEN_WITHIN

LATER = START + timedelta(hours=23)
REPLACE = msgspec.structs.replace
HEARING = Hearing(START, 0)


@pytest.fixture
async def queued(records: SqlRecords) -> Job:
    await given(records, account(), account("acct_2"), job())
    return job()


async def _row(records: SqlRecords, job_id: str = "job_1") -> Job:
    row = await within(records, lambda tx: tx.jobs.get(job_id))
    assert row is not None
    return row


async def _claim(records: SqlRecords, claim: str = "flow", run: int = 1) -> Job | None:
    return await within(records, lambda tx: tx.jobs.claim("job_1", run, claim, START))


async def _finish(records: SqlRecords, ending: Ending = DONE, run: int = 1) -> Job | None:
    return await within(records, lambda tx: tx.jobs.finish("job_1", run, ending, LATER, LATER + timedelta(hours=23)))


async def test_a_job_comes_back_as_it_went_in(records: SqlRecords) -> None:
    full = job(
        options=JobOptions("de", False, "translate", "Zürich \0 🎙", ("Ümläut",), ("srt",), ("openai",)),
        source=UrlSource(b"\0sealed\xff"),
        decoded_s=36_000.123456789,
        warnings=("a", "b"),
        error_extras={"limit_bytes": 1 << 40, "half": 0.5, "yes": True, "none": None},
        transcript=BlobRef("jobs/job_1/transcript.json", 1 << 33, "ff" * 32, "application/json"),
        webhook_url=SealedUrl(b"\0sealed\xff", "example.com"),
        accept_overage=True,
        pace=(Beat(1, 0, 0.001, 25.5), Beat(2, 0, 3.0, 26.0)),
    )
    await given(records, account(), full)
    assert await _row(records) == full


async def test_half_a_character_in_a_prompt_is_invalid(records: SqlRecords, queued: Job) -> None:
    with pytest.raises(Invalid):
        await given(records, job("job_2", options=JobOptions(prompt="\udc00")))


async def test_the_same_job_twice_is_a_conflict(records: SqlRecords, queued: Job) -> None:
    with pytest.raises(Conflict):
        await given(records, job())


async def test_a_job_is_its_accounts_alone(records: SqlRecords, queued: Job) -> None:
    assert await within(records, lambda tx: tx.jobs.get("job_1", "acct_1")) == queued
    assert await within(records, lambda tx: tx.jobs.get("job_1", "acct_2")) is None


async def test_a_deleted_job_is_hidden_from_its_account_only(records: SqlRecords, queued: Job) -> None:
    assert not await within(records, lambda tx: tx.jobs.is_deleted("job_1"))
    for moment in (START, LATER):
        await within(records, lambda tx, at=moment: tx.jobs.mark_deleted("job_1", at))
    assert await within(records, lambda tx: tx.jobs.get("job_1", "acct_1")) is None
    assert await within(records, lambda tx: tx.jobs.page("acct_1")) == []
    assert (await _row(records)).deleted_at == START
    assert await within(records, lambda tx: tx.jobs.is_deleted("job_1"))
    assert await within(records, lambda tx: tx.jobs.is_deleted("job_unknown"))


@pytest.mark.promise("J4")
async def test_pages_hold_the_newest_change_first_and_miss_nothing(records: SqlRecords) -> None:
    moments = [START + timedelta(microseconds=n // 2) for n in range(7)]
    await given(records, account(), account("acct_2"), job("job_other", "acct_2"))
    await given(records, *(job(f"job_{n}", at=moment) for n, moment in enumerate(moments)))
    seen = await within(records, lambda tx: tx.jobs.page("acct_1", limit=2))
    for _ in range(3):
        after = (seen[-1].changed_at, seen[-1].job_id)
        seen += await within(records, lambda tx, a=after: tx.jobs.page("acct_1", after=a, limit=2))
    assert [each.job_id for each in seen] == [f"job_{n}" for n in reversed(range(7))]
    assert len(await within(records, lambda tx: tx.jobs.page(None))) == 8


@pytest.mark.promise("J4")
async def test_pages_are_narrowed_by_state_dialect_and_change(records: SqlRecords) -> None:
    await given(records, account(), job("job_1"), job("job_2", dialect="other"), job("job_3", at=LATER))
    await _claim(records)

    async def ids(**narrow: Any) -> set[str]:
        return {each.job_id for each in await within(records, lambda tx: tx.jobs.page("acct_1", **narrow))}

    assert await ids(state="processing") == {"job_1"}
    assert await ids(dialect="other") == {"job_2"}
    assert await ids(changed_since=LATER) == {"job_3"}
    assert await ids(changed_since=START, state="queued", dialect="jobs") == {"job_3"}


async def test_open_jobs_are_counted(records: SqlRecords, queued: Job) -> None:
    await given(records, job("job_2"), job("job_3", "acct_2"))
    await _claim(records)
    assert await within(records, lambda tx: tx.jobs.count_open("acct_1")) == 2
    await _finish(records)
    assert await within(records, lambda tx: tx.jobs.count_open("acct_1")) == 1


async def test_a_claim_starts_a_job_once_and_may_be_repeated(records: SqlRecords, queued: Job) -> None:
    await within(records, lambda tx: tx.jobs.admit(START, CAPS))
    mine = await _claim(records)
    assert mine == REPLACE(queued, state="processing", claim="flow", started_at=START, admitted=True)
    assert await within(records, lambda tx: tx.jobs.orders()) == []
    assert await _claim(records) == mine
    assert await _claim(records, "another") is None
    assert await _claim(records, run=2) is None
    await _finish(records)
    assert await _claim(records) is None


async def test_of_many_claims_at_once_one_wins(records: SqlRecords, queued: Job) -> None:
    claims = await asyncio.gather(*(_claim(records, f"flow {n}") for n in range(12)))
    assert len([claim for claim in claims if claim is not None]) == 1


async def test_a_patch_changes_only_what_it_names_while_the_run_works(records: SqlRecords, queued: Job) -> None:
    patch = JobPatch(
        stage="transcribing", spans_total=4, plan="p1", decoded_s=600.25, language="de", engine="whisper_small",
        fallback=True, warnings=("damaged",), source=UrlSource(b"new"), transcript=BlobRef("k", 1, "00"),
    )  # fmt: skip
    assert not await within(records, lambda tx: tx.jobs.patch("job_1", 1, patch, LATER))
    claimed = await _claim(records)
    assert claimed is not None
    assert await within(records, lambda tx: tx.jobs.patch("job_1", 1, patch, LATER))
    assert await within(records, lambda tx: tx.jobs.patch("job_1", 1, JobPatch(), LATER))
    changed = {field: value for field, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET}
    assert await _row(records) == REPLACE(claimed, **changed)
    await within(records, lambda tx: tx.jobs.patch("job_1", 1, JobPatch(language=None, transcript=None), LATER))
    assert await _row(records) == REPLACE(claimed, **changed | {"language": None, "transcript": None})
    assert not await within(records, lambda tx: tx.jobs.patch("job_1", 2, patch, LATER))
    await _finish(records)
    assert not await within(records, lambda tx: tx.jobs.patch("job_1", 1, JobPatch(), LATER))


async def test_a_span_counts_once_however_often_and_however_many_report_it(records: SqlRecords, queued: Job) -> None:
    await _claim(records)

    async def done(index: int, plan: str = "p1") -> int | None:
        return await within(records, lambda tx: tx.jobs.span_done("job_1", 1, plan, index, START, HEARING))

    counts = await asyncio.gather(*(done(index % 8) for index in range(24)))
    assert max(count for count in counts if count) == 8
    assert await done(3) == 8
    row = await _row(records)
    assert (row.spans_done, [beat.number for beat in row.pace]) == (8, list(range(1, 9)))
    assert await done(0, "p2") == 1
    await _finish(records)
    assert await done(9) is None


@pytest.mark.promise("J45")
async def test_the_pace_is_of_the_last_spans_that_were_heard(records: SqlRecords, queued: Job) -> None:
    """In seconds of the run; one that was found done is counted, and says nothing of the pace."""
    await _claim(records)

    async def done(index: int, hearing: Hearing | None) -> None:
        now = START + timedelta(seconds=index + 2.25)
        await within(records, lambda tx: tx.jobs.span_done("job_1", 1, "p1", index, now, hearing))

    await done(0, None)
    for index in range(1, KEPT + 2):
        await done(index, Hearing(START + timedelta(seconds=index), index - 1))
    row = await _row(records)
    assert row.spans_done == KEPT + 2
    assert row.pace == tuple(Beat(n, n - 1, float(n), n + 2.25) for n in range(2, KEPT + 2))


async def test_a_run_finishes_once_and_gives_its_slot_back_once(records: SqlRecords, queued: Job) -> None:
    await within(records, lambda tx: tx.jobs.admit(START, CAPS))
    await _claim(records)
    ends = await asyncio.gather(*(_finish(records) for _ in range(8)))
    (ended,) = [end for end in ends if end is not None]
    assert ended == await _row(records)
    assert (ended.state, ended.stage, ended.billed_s, ended.overage_s) == ("completed", "ended", 600, 0)
    assert (ended.ended_at, ended.changed_at, ended.purge_after) == (LATER, LATER, LATER + timedelta(hours=23))
    assert not ended.admitted
    assert (await within(records, lambda tx: tx.accounts.get("acct_1"))) == account(running=0)


async def test_a_waiting_job_that_finishes_leaves_no_order_and_no_slot(records: SqlRecords, queued: Job) -> None:
    cancelled = Ending(outcome="cancelled", error_code="cancelled", error_reason="user", error_extras={"a": 1})
    await given(records, job("job_2"))
    await within(records, lambda tx: tx.jobs.admit(START, CAPS, limit=1))
    assert [order.job_id for order in await within(records, lambda tx: tx.jobs.orders())] == ["job_1"]
    ended = await _finish(records, cancelled)
    assert ended is not None
    assert (ended.state, ended.error_code, ended.error_reason, ended.error_extras) == (
        "cancelled",
        "cancelled",
        "user",
        {"a": 1},
    )
    assert await within(records, lambda tx: tx.jobs.orders()) == []
    await within(records, lambda tx: tx.jobs.finish("job_2", 1, cancelled, LATER, LATER))
    assert (await within(records, lambda tx: tx.accounts.get("acct_1"))) == account(running=0)


async def test_a_retry_is_a_new_run_that_knows_the_recording_and_nothing_else(records: SqlRecords, queued: Job) -> None:
    assert await within(records, lambda tx: tx.jobs.retry("job_1", LATER)) is None
    await within(records, lambda tx: tx.jobs.admit(START, CAPS))
    await _claim(records)
    patch = JobPatch(stage="merging", spans_total=2, plan="p1", decoded_s=9.5, language="de", engine="e", fallback=True)
    await within(records, lambda tx: tx.jobs.patch("job_1", 1, patch, START))
    await within(records, lambda tx: tx.jobs.span_done("job_1", 1, "p1", 0, START, HEARING))
    await _finish(records, Ending(outcome="failed", error_code="transient_error", error_extras={"a": 1}, billed_s=0))
    again = await within(records, lambda tx: tx.jobs.retry("job_1", LATER))
    assert again == REPLACE(queued, run=2, changed_at=LATER, decoded_s=9.5, language="de")
    assert again == await _row(records)
    assert await within(records, lambda tx: tx.jobs.retry("job_1", LATER)) is None
    assert await _claim(records, run=1) is None
    await within(records, lambda tx: tx.jobs.claim("job_1", 2, "second", LATER))
    assert await within(records, lambda tx: tx.jobs.span_done("job_1", 2, "p1", 0, LATER)) == 1
    assert await within(records, lambda tx: tx.jobs.span_done("job_1", 1, "p1", 1, LATER)) is None


async def test_a_deleted_job_is_not_retried(records: SqlRecords, queued: Job) -> None:
    await _finish(records, Ending(outcome="failed"))
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1", LATER))
    assert await within(records, lambda tx: tx.jobs.retry("job_1", LATER)) is None


async def test_orders_come_oldest_first_and_once(records: SqlRecords, queued: Job) -> None:
    first, second = Order("delivery", "job_1", 1, "evt_1"), Order("cancel", "job_1", 1)
    for order in (first, second, first):
        await within(records, lambda tx, o=order: tx.jobs.add_order(o))
    assert await within(records, lambda tx: tx.jobs.orders()) == [first, second]
    assert await within(records, lambda tx: tx.jobs.orders(1)) == [first]
    for _ in range(2):
        await within(records, lambda tx: tx.jobs.drop_order(first))
    assert await within(records, lambda tx: tx.jobs.orders()) == [second]


async def test_failures_are_counted_per_station_run_and_code(records: SqlRecords, queued: Job) -> None:
    async def fail(index: int = 0, code: str = "engine_crash", run: int = 1) -> int:
        return await within(records, lambda tx: tx.jobs.count_failure("job_1", run, "transcribe", index, code))

    assert sorted(await asyncio.gather(*(fail() for _ in range(10)))) == list(range(1, 11))
    assert [await fail(1), await fail(0, "other"), await fail(0, run=2)] == [1, 1, 1]


async def test_an_upload_is_open_until_its_job_is_there_or_it_is_dropped(
    records: SqlRecords, clock: SteppedClock
) -> None:
    await given(records, account())
    for name in ("job_1", "job_2", "job_3", "job_2"):
        await within(records, lambda tx, n=name: tx.jobs.begin_upload(n, "acct_1", clock.step()))
    await given(records, job("job_1"))
    assert await within(records, lambda tx: tx.jobs.stale_uploads(LATER)) == ["job_3", "job_2"]
    assert await within(records, lambda tx: tx.jobs.stale_uploads(START + timedelta(seconds=4))) == ["job_3"]
    await within(records, lambda tx: tx.jobs.drop_upload("job_3"))
    assert await within(records, lambda tx: tx.jobs.stale_uploads(LATER, 1)) == ["job_2"]
    heard = START + timedelta(seconds=4)
    assert await within(records, lambda tx: tx.jobs.uploads_since(heard)) == {"job_2"}
    assert await within(records, lambda tx: tx.jobs.uploads_since(heard + timedelta(microseconds=1))) == set()


async def test_the_tombstone_of_a_batch_is_that_of_its_files(records: SqlRecords) -> None:
    """And of nobody else's; a file's own is its own."""
    files = {"batch_id": "job_1"}
    nouns = (job(files_total=2), job("job_1.00000", **files), job("job_1.00001", **files), job("job_2"))
    await given(records, account(), *nouns)
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1.00000", LATER))
    assert not await within(records, lambda tx: tx.jobs.is_deleted("job_1"))
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1", LATER + timedelta(hours=1)))
    marks = [(await within(records, lambda tx, n=noun.job_id: tx.jobs.get(n))).deleted_at for noun in nouns]  # type: ignore[union-attr]
    later = LATER + timedelta(hours=1)
    assert marks == [later, LATER, later, None]


async def test_long_running_jobs_are_found_for_reconciling(records: SqlRecords, queued: Job) -> None:
    assert await within(records, lambda tx: tx.jobs.running_since(LATER)) == []
    claimed = await _claim(records)
    assert await within(records, lambda tx: tx.jobs.running_since(LATER)) == [claimed]
    assert await within(records, lambda tx: tx.jobs.running_since(START)) == []


async def test_a_source_is_purgeable_from_its_hour_until_it_is_marked(records: SqlRecords, queued: Job) -> None:
    ended = await _finish(records)
    due = LATER + timedelta(hours=23)
    assert await within(records, lambda tx: tx.jobs.purgeable(due - timedelta(microseconds=1))) == []
    assert await within(records, lambda tx: tx.jobs.purgeable(due)) == [ended]
    for moment in (due, due + timedelta(1)):
        await within(records, lambda tx, at=moment: tx.jobs.mark_source_deleted("job_1", at))
    assert await within(records, lambda tx: tx.jobs.purgeable(due)) == []
    assert (await _row(records)).source_deleted_at == due


@pytest.mark.promise("J9")
async def test_a_trimmed_source_is_purgeable_unless_its_account_keeps_it(records: SqlRecords, queued: Job) -> None:
    ended = await _finish(records)
    due = LATER + timedelta(hours=23)
    await within(records, lambda tx: tx.accounts.save(account(keep_audio=True)))
    assert await within(records, lambda tx: tx.jobs.purgeable(due)) == [ended]
    await within(records, lambda tx: tx.jobs.mark_trimmed("job_1", due))
    assert await within(records, lambda tx: tx.jobs.purgeable(due)) == []
    await within(records, lambda tx: tx.accounts.save(account()))
    assert await within(records, lambda tx: tx.jobs.purgeable(due)) == [REPLACE(ended, trimmed_at=due)]
    await within(records, lambda tx: tx.accounts.save(account(keep_audio=True)))
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1", due))
    assert len(await within(records, lambda tx: tx.jobs.purgeable(due))) == 1


async def test_only_what_has_ended_is_trimmed_and_a_retry_is_whole_again(records: SqlRecords, queued: Job) -> None:
    await within(records, lambda tx: tx.jobs.mark_trimmed("job_1", LATER))
    assert (await _row(records)).trimmed_at is None
    await _finish(records, Ending(outcome="failed"))
    await within(records, lambda tx: tx.jobs.mark_trimmed("job_1", LATER))
    assert (await _row(records)).trimmed_at == LATER
    again = await within(records, lambda tx: tx.jobs.retry("job_1", LATER))
    assert again is not None
    assert again.trimmed_at is None


async def test_a_deleted_job_is_swept_until_no_late_writer_can_be_left(records: SqlRecords, queued: Job) -> None:
    await _finish(records)
    await within(records, lambda tx: tx.jobs.mark_source_deleted("job_1", LATER))
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1", LATER))
    for minutes, left in ((0, 1), (9, 1), (10, 0)):
        moment = LATER + timedelta(minutes=minutes)
        await within(records, lambda tx, at=moment: tx.jobs.mark_source_deleted("job_1", at))
        assert len(await within(records, lambda tx, at=moment: tx.jobs.purgeable(at))) == left


async def test_a_deleted_job_that_was_brought_is_swept_until_no_address_can_be_used(records: SqlRecords) -> None:
    """They lead to the store, which asks nobody."""
    await given(records, account(), job(source=AwaitedSource(), awaiting=True))
    await _finish(records)
    await within(records, lambda tx: tx.jobs.mark_deleted("job_1", LATER))
    for at, left in ((LATER + URLS_LIVE, 1), (LATER + WRITTEN_WITHIN, 0)):
        await within(records, lambda tx, at=at: tx.jobs.mark_source_deleted("job_1", at))
        assert len(await within(records, lambda tx, at=at: tx.jobs.purgeable(at))) == left
