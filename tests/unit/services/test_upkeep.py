"""What happens although nobody asks? Sources go in time, forgotten uploads go, and lost runs are ended."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from tests.unit.services.desk import CAPS, HOOK, Desk
from tiro.model import blob
from tiro.model.errors import Conflict, NotFound, RateLimited, Transient
from tiro.model.job import Outcome
from tiro.model.replay import Replay
from tiro.model.request import AwaitedSource
from tiro.model.upload import URLS_LIVE, WRITTEN_WITHIN
from tiro.services.ending import CANCELLED_SWEPT_AFTER, SOURCE_KEPT_FOR, Fault
from tiro.services.limiter import Limiter, Rate
from tiro.services.replays import KEPT_FOR
from tiro.services.upkeep import LOST_AFTER, UPLOAD_KEPT_FOR, Swept

MEDIA = tuple(
    key.removeprefix(blob.job_prefix("job_1"))
    for key in (
        blob.source_key("job_1"),
        blob.span_audio_key("job_1", "plan", 0),
        blob.span_record_key("job_1", "plan", 0),
        blob.plan_key("job_1", "plan"),
        blob.part_key("job_1", "plan", "first", 0),
        blob.turns_key("job_1", "plan", "acoustic"),
        blob.pack_audio_key("job_1", "pack"),
        blob.source_key(blob.file_id("job_1", 7)),
    )
)
RESULTS = ("heard/pack.json", "pages/0000.json", "transcript.json", "results/transcript.txt")
KEPT_KEYS = {"transcript_key", "result_key", "event_key", "pack_result_key", "page_document_key", "document_key"} | {
    "manifest_key",
    "manifest_page_key",
}
AN_HOUR_S = 3600.0


def _fill(desk: Desk, job_id: str = "job_1") -> None:
    for name in (*MEDIA, *RESULTS):
        desk.blobs.put(f"jobs/{job_id}/{name}", b"x")


@pytest.mark.promise("J43")
async def test_the_recording_and_all_that_was_made_of_it_go_within_a_day_and_the_transcript_stays(desk: Desk) -> None:
    """Not before their time; once."""
    await desk.running(await desk.account())
    _fill(desk)
    await desk.endings.end("job_1", 1, "completed")
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds() - 1)
    assert await desk.upkeep.sweep() == Swept()
    desk.clock.step(1)
    assert await desk.upkeep.sweep() == Swept(sources=1)
    assert desk.names() == sorted(RESULTS)
    assert (await desk.job()).source_deleted_at == desk.clock.now()
    assert await desk.upkeep.sweep() == Swept()
    assert timedelta(hours=24) > SOURCE_KEPT_FOR


@pytest.mark.promise("J43")
@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled"])
async def test_however_a_job_ends_nothing_of_its_sound_is_left_nor_begun(desk: Desk, outcome: Outcome) -> None:
    """Uploads that a killed process left open below the job are broken off with the rest."""
    await desk.running(await desk.account())
    _fill(desk)
    begun = [desk.blobs.writer(f"jobs/job_1/{name}") for name in MEDIA]
    await desk.endings.end("job_1", 1, outcome, Fault("transient_error") if outcome == "failed" else None)
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    await desk.upkeep.sweep()
    assert not set(desk.names()) & set(MEDIA)
    for writer in begun:
        with pytest.raises(Transient):
            writer.commit()
    assert (await desk.job()).source_deleted_at == desk.clock.now()


@pytest.mark.promise("J43")
def test_no_kind_of_content_is_forgotten_here() -> None:
    """A new name below a job is either purged, and then in MEDIA, or kept by intent."""
    named = {name for name in vars(blob) if name.endswith("_key")}
    purged = {"source_key", "span_audio_key", "span_record_key", "plan_key", "part_key", "turns_key", "pack_audio_key"}
    assert named == purged | KEPT_KEYS


@pytest.mark.promise("J9", "J24")
async def test_a_failed_job_can_be_retried_until_its_recording_is_gone(desk: Desk) -> None:
    """Then it says so."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    await desk.upkeep.sweep()
    with pytest.raises(Conflict) as refused:
        await desk.jobs.retry("job_1")
    assert refused.value.code == "source_deleted"


async def test_a_recording_that_is_being_heard_again_is_not_removed(desk: Desk) -> None:
    """A retry takes the old date of removal away."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    desk.orchestrator.cancelled.clear()
    await desk.begun("job_1", run=2)
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    assert (await desk.upkeep.sweep()).sources == 0
    assert "source" in desk.names()


@pytest.mark.promise("J43")
async def test_a_cancelled_job_leaves_its_event_and_nothing_else(desk: Desk) -> None:
    """Also when the cancel came while its transcript was being written; the event is still to be delivered."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    _fill(desk)
    await desk.endings.end("job_1", 1, "cancelled")
    await desk.upkeep.empty("job_1")
    assert [name.split("/")[0] for name in desk.names()] == ["events"]


async def test_a_cancelled_job_is_looked_at_again_for_what_a_lost_attempt_wrote(desk: Desk) -> None:
    """Ten minutes later."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "cancelled")
    await desk.upkeep.empty("job_1")
    _fill(desk)
    desk.clock.step(CANCELLED_SWEPT_AFTER.total_seconds())
    assert (await desk.upkeep.sweep()).sources == 1
    assert desk.names() == []


async def test_a_cancelled_job_is_looked_at_again_when_none_of_its_addresses_can_be_used_any_more(desk: Desk) -> None:
    """What was being brought when it was cancelled comes later, and to the store itself."""
    other = await desk.queued(await desk.account(), "job_2")
    async with desk.records.begin() as tx:
        await tx.jobs.add(msgspec.structs.replace(other, job_id="job_1", source=AwaitedSource(), awaiting=True))
    await desk.jobs.cancel("job_1")
    desk.clock.step(URLS_LIVE.total_seconds() - 1)
    await desk.upkeep.sweep()
    _fill(desk)
    desk.clock.step(WRITTEN_WITHIN.total_seconds())
    assert (await desk.upkeep.sweep()).sources == 1
    assert desk.names() == []


async def test_a_deleted_job_is_emptied_again_after_late_writers(desk: Desk) -> None:
    """Everything below its prefix, its transcript and events too."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    _fill(desk)
    await desk.endings.end("job_1", 1, "completed")
    await desk.jobs.delete("job_1")
    assert desk.names() == []
    _fill(desk)
    desk.clock.step(AN_HOUR_S)
    await desk.upkeep.sweep()
    assert desk.names() == []
    assert await desk.upkeep.sweep() == Swept()
    with pytest.raises(NotFound):
        await desk.jobs.get("job_1")


async def test_an_upload_that_never_became_a_job_is_gone_after_a_day(desk: Desk) -> None:
    """One that is still coming in is not."""
    account = await desk.account()
    async with desk.records.begin() as tx:
        await tx.jobs.begin_upload("job_old", account.account_id, desk.clock.now())
    desk.blobs.put("jobs/job_old/source", b"x")
    desk.clock.step(UPLOAD_KEPT_FOR.total_seconds())
    async with desk.records.begin() as tx:
        await tx.jobs.begin_upload("job_new", account.account_id, desk.clock.now())
    desk.blobs.put("jobs/job_new/source", b"x")
    desk.clock.step(1)
    assert await desk.upkeep.sweep() == Swept(uploads=1)
    assert desk.names("job_old") == []
    assert desk.names("job_new") == ["source"]


async def test_an_upload_that_became_a_job_is_left_alone(desk: Desk) -> None:
    """However long its job waits."""
    account = await desk.account()
    async with desk.records.begin() as tx:
        await tx.jobs.begin_upload("job_1", account.account_id, desk.clock.now())
    await desk.queued(account)
    desk.clock.step(2 * UPLOAD_KEPT_FOR.total_seconds())
    assert (await desk.upkeep.sweep()).uploads == 0
    assert desk.names() == ["source"]


async def test_a_run_that_temporal_has_lost_is_failed_and_its_owner_told(desk: Desk) -> None:
    """Terminated or gone, and not at once: it gets ten minutes."""
    account = await desk.account()
    await desk.running(account, webhook_url=HOOK)
    desk.orchestrator.launched.clear()
    desk.clock.step(LOST_AFTER.total_seconds())
    assert (await desk.upkeep.sweep()).lost == 0
    desk.clock.step(1)
    assert (await desk.upkeep.sweep()).lost == 1
    job = await desk.job()
    assert (job.state, job.error_code, job.error_reason) == ("failed", "transient_error", "lost")
    assert len(await desk.deliveries()) == 1
    assert (await desk.usage(account)).held_s == 0
    assert await desk.slots(account) == 0


async def test_a_run_that_temporal_still_has_is_left_alone(desk: Desk) -> None:
    """However long it takes."""
    await desk.running(await desk.account())
    desk.clock.step(24 * AN_HOUR_S)
    assert (await desk.upkeep.sweep()).lost == 0
    assert (await desk.job()).state == "processing"


async def test_a_run_that_temporal_lost_before_it_began_gives_its_slot_back(desk: Desk) -> None:
    """Terminated while it waited for a worker: nobody will claim it. One whose start is still to be told is not lost."""
    account = await desk.account()
    await desk.queued(account)
    async with desk.records.begin() as tx:
        await tx.jobs.admit(desk.clock.now(), CAPS)
    desk.clock.step(LOST_AFTER.total_seconds() + 1)
    assert (await desk.upkeep.sweep()).lost == 0
    await desk.dispatch.once()
    assert (await desk.upkeep.sweep()).lost == 0
    desk.orchestrator.launched.clear()
    assert (await desk.upkeep.sweep()).lost == 1
    assert (await desk.job()).state == "failed"
    assert await desk.slots(account) == 0


async def test_one_sweep_removes_all_that_is_due(desk: Desk) -> None:
    """However many jobs ended a day ago."""
    account = await desk.account()
    names = [f"job_{number:03d}" for number in range(120)]
    for name in names:
        await desk.queued(account, name)
        await desk.endings.end(name, 1, "failed", Fault("transient_error"))
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    assert (await desk.upkeep.sweep()).sources == len(names)
    assert [name for name in names if desk.names(name)] == []


@pytest.mark.promise("J43")
async def test_a_recording_that_the_store_will_not_let_go_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again by the next sweep. Where nothing goes, it is the store that is away, and the sweep is for later."""
    account = await desk.account()
    names = ["job_1", "job_2", "job_3"]
    for name in names:
        await desk.queued(account, name)
        await desk.endings.end(name, 1, "failed", Fault("transient_error"))
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    remove, held = desk.blobs.delete_prefix, ["job_1"]

    def holding(prefix: str) -> int:
        if any(name in prefix for name in held):
            raise Transient("store_unavailable", "The blob store kept objects that it was told to remove.")
        return remove(prefix)

    monkeypatch.setattr(desk.blobs, "delete_prefix", holding)
    assert await desk.upkeep.sweep() == Swept(sources=2)
    assert [name for name in names if desk.names(name)] == ["job_1"]
    assert (await desk.job()).source_deleted_at is None
    held.clear()
    assert await desk.upkeep.sweep() == Swept(sources=1)


async def test_an_upload_that_the_store_will_not_let_go_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is the oldest, and found first each time."""
    account = await desk.account()
    for name in ("job_1", "job_2"):
        async with desk.records.begin() as tx:
            await tx.jobs.begin_upload(name, account.account_id, desk.clock.now())
        desk.blobs.put(f"jobs/{name}/source", b"x")
        desk.clock.step(1)
    desk.clock.step(UPLOAD_KEPT_FOR.total_seconds())
    remove, held = desk.blobs.delete_prefix, ["job_1"]

    def holding(prefix: str) -> int:
        if any(name in prefix for name in held):
            raise Transient("store_unavailable", "The blob store kept objects that it was told to remove.")
        return remove(prefix)

    monkeypatch.setattr(desk.blobs, "delete_prefix", holding)
    assert await desk.upkeep.sweep() == Swept(uploads=1)
    assert desk.names("job_2") == []
    held.clear()
    assert await desk.upkeep.sweep() == Swept(uploads=1)
    assert desk.names() == []


@pytest.mark.parametrize("count", [3, 120])
async def test_a_store_that_is_away_is_said_by_the_sweep(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Not job by job."""
    account = await desk.account()
    for number in range(count):
        await desk.queued(account, f"job_{number:03d}")
        await desk.endings.end(f"job_{number:03d}", 1, "failed", Fault("transient_error"))
    desk.clock.step(SOURCE_KEPT_FOR.total_seconds())
    asked: list[str] = []

    def away(prefix: str) -> int:
        asked.append(prefix)
        raise Transient("store_unavailable", "The blob store is away.")

    monkeypatch.setattr(desk.blobs, "delete_prefix", away)
    with pytest.raises(Transient):
        await desk.upkeep.sweep()
    assert len(asked) == 3


async def test_a_store_that_is_away_keeps_no_lost_run_in_its_slot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no store is done all the same, and the sweep is told as failed."""
    account = await desk.account()
    await desk.running(account)
    desk.orchestrator.launched.clear()
    desk.clock.step(LOST_AFTER.total_seconds() + 1)

    def away(before: datetime, spared: object) -> int:
        raise Transient("store_unavailable", "The blob store is away.")

    monkeypatch.setattr(desk.blobs, "abort_stale", away)
    with pytest.raises(Transient):
        await desk.upkeep.sweep()
    assert (await desk.job()).state == "failed"
    assert await desk.slots(account) == 0


@pytest.mark.promise("J43")
async def test_a_job_that_is_cancelled_before_it_is_tried_again_leaves_nothing(desk: Desk) -> None:
    """No run will come to empty it, and the one before left what it had made."""
    await desk.running(await desk.account())
    _fill(desk)
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    await desk.jobs.cancel("job_1")
    assert desk.names() == []


@pytest.mark.promise("J48")
async def test_an_answer_that_is_given_again_is_forgotten_after_a_day(desk: Desk) -> None:
    """Not a microsecond before."""
    replay = Replay("name", "fingerprint", b"{}", desk.clock.now())
    async with desk.records.begin() as tx:
        assert await tx.replays.add(replay, desk.clock.now() - KEPT_FOR)
    desk.clock.step(KEPT_FOR.total_seconds() - 1e-6)
    assert await desk.upkeep.sweep() == Swept()
    desk.clock.step(1e-6)
    assert await desk.upkeep.sweep() == Swept(answers=1)
    assert await desk.upkeep.sweep() == Swept()


@pytest.mark.promise("J14")
async def test_a_rate_in_which_nothing_counts_is_forgotten_and_no_other(desk: Desk) -> None:
    """A sweep gives nobody room."""
    limiter = Limiter(desk.records, desk.clock)
    minute, longer = Rate(("peer", "10.0.0.1"), 1, within_s=60), Rate(("peer", "10.0.0.2"), 1, within_s=90)
    await limiter.count(minute, longer)
    desk.clock.step(60)
    await desk.upkeep.sweep()
    with pytest.raises(RateLimited) as refused:
        await limiter.count(longer)
    assert refused.value.extras["retry_after_s"] == 30
    async with desk.records.begin() as tx:
        assert await tx.limits.forget(desk.clock.now()) == 0
