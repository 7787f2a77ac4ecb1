"""Is what does not agree found, and what is under way left alone?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from tests.unit.services.desk import HOOK, PLANS, Desk
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.audit import Audited, Finding
from tiro.model.blob import BlobInfo, document_key, event_key, file_id, source_key, transcript_key
from tiro.model.errors import Transient
from tiro.model.job import Order
from tiro.services.audit import Audit

AT_ONCE = timedelta(0)


async def _look(desk: Desk) -> Audited:
    audit = Audit(desk.records, desk.blobs, desk.orchestrator, desk.clock, PLANS)
    return await audit.look(pause=AT_ONCE)


async def _kinds(desk: Desk) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in (await _look(desk)).findings]


async def _completed(desk: Desk, job_id: str = "job_1") -> None:
    account = await desk.account()
    await desk.running(account, job_id, webhook_url=HOOK)
    desk.blobs.put(transcript_key(job_id), b"{}")
    await desk.endings.end(job_id, 1, "completed")
    await desk.dispatch.once()
    _closed(desk, job_id)


def _closed(desk: Desk, job_id: str, run: int = 1) -> None:
    """Its workflow has ended."""
    del desk.orchestrator.launched[job_id, run]


async def test_jobs_that_wait_run_and_have_ended_agree(desk: Desk) -> None:
    await _completed(desk)
    account = await desk.account("free")
    for job_id in ("job_2", "job_3", "job_4"):
        await desk.queued(account, job_id)
    await desk.begun("job_2")
    found = await _look(desk)
    assert (found.findings, found.unchecked, found.notes) == ((), {}, ())
    assert {name: found.compared[name] for name in ("jobs", "runs", "workflows", "objects")} == {
        "jobs": 4, "runs": 2, "workflows": 2, "objects": 6
    }  # fmt: skip


async def test_a_run_that_temporal_does_not_know_is_found(desk: Desk) -> None:
    await desk.running(await desk.account())
    _closed(desk, "job_1")
    finding = Finding("run_lost", "job_1/1", "processing", "a workflow that is under way")
    assert (await _look(desk)).findings == (finding,)


async def test_a_run_that_was_told_to_begin_and_is_not_known_is_found(desk: Desk) -> None:
    await desk.queued(await desk.account())
    await desk.dispatch.once()
    assert await _kinds(desk) == []
    _closed(desk, "job_1")
    assert await _kinds(desk) == [("run_lost", "job_1/1")]


async def test_a_workflow_may_outlive_its_job_for_a_while_and_no_longer(desk: Desk) -> None:
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "failed")
    assert await _kinds(desk) == []
    desk.clock.step(11 * 60)
    assert await _kinds(desk) == [("workflow_left", "job_1/1")]
    _closed(desk, "job_1")
    assert await _kinds(desk) == []


async def test_a_workflow_of_no_job_is_found(desk: Desk) -> None:
    await desk.running(await desk.account())
    launch = desk.orchestrator.launched["job_1", 1]
    desk.orchestrator.launched["job_9", 1] = msgspec.structs.replace(launch, job_id="job_9")
    assert (await _look(desk)).findings == (Finding("workflow_left", "job_9/1", "no such job", "no workflow"),)


async def test_a_workflow_of_a_run_that_another_has_followed_is_found(desk: Desk) -> None:
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "failed")
    await desk.jobs.retry("job_1")
    await desk.begun("job_1", run=2)
    desk.clock.step(11 * 60)
    assert await _kinds(desk) == [("workflow_left", "job_1/1")]


async def test_an_order_may_stand_for_a_while_and_no_longer(desk: Desk) -> None:
    await desk.queued(await desk.account())
    async with desk.records.begin() as tx:
        await tx.jobs.add_order(Order("cancel", "job_1", 1))
    assert await _kinds(desk) == []
    desk.clock.step(11 * 60)
    assert await _kinds(desk) == [("order_stands", "job_1/1 cancel")]


async def test_an_event_that_nobody_delivers_is_found_once_its_time_has_passed(desk: Desk) -> None:
    await _completed(desk)
    (event_id,) = desk.orchestrator.deliveries
    desk.clock.step(120)
    assert await _kinds(desk) == []
    desk.orchestrator.deliveries.clear()
    assert await _kinds(desk) == [("delivery_lost", event_id)]


async def test_a_transcript_that_is_gone_is_found(desk: Desk) -> None:
    await _completed(desk)
    desk.blobs.delete(transcript_key("job_1"))
    assert (await _look(desk)).findings == (Finding("result_missing", "job_1", "completed", "a transcript"),)


async def test_a_batch_has_its_document(desk: Desk) -> None:
    account = await desk.account()
    await desk.queued(account, dialect="transcribe", files_total=0, micros_per_hour=0)
    await desk.dispatch.once()
    assert await desk.line.begin("job_1", 1, "claim") is not None
    desk.blobs.put(source_key(file_id("job_1", 0)), b"recording")
    desk.blobs.put(document_key("job_1"), b"{}")
    await desk.endings.end("job_1", 1, "completed")
    _closed(desk, "job_1")
    assert await _kinds(desk) == []
    desk.blobs.delete(document_key("job_1"))
    assert (await _look(desk)).findings == (Finding("result_missing", "job_1", "completed", "a document"),)


async def test_an_object_of_no_job_is_found_unless_it_is_still_coming_in(desk: Desk) -> None:
    account = await desk.account()
    desk.blobs.put(source_key("job_1"), b"recording")
    desk.blobs.put("jobs/job_1/events/evt_1.json", b"{}")
    desk.blobs.put("jobs/README", b"put here by somebody")
    async with desk.records.begin() as tx:
        await tx.jobs.begin_upload("job_0", account.account_id, desk.clock.now())
    desk.blobs.put(source_key("job_0"), b"recording")
    should = "a job, or an upload that is open"
    assert (await _look(desk)).findings == (
        Finding("object_unknown", "README", "1 objects", should),
        Finding("object_unknown", "job_1", "2 objects", should),
    )


async def test_a_source_that_is_said_to_be_deleted_is_gone(desk: Desk) -> None:
    await _completed(desk)
    async with desk.records.begin() as tx:
        await tx.jobs.mark_source_deleted("job_1", desk.clock.now())
    found = Finding("content_left", "job_1", "source deleted, source", "nothing of it")
    assert (await _look(desk)).findings == (found,)
    desk.blobs.put(source_key(file_id("job_1", 7)), b"recording")
    desk.blobs.delete(source_key("job_1"))
    left = msgspec.structs.replace(found, there="source deleted, files")
    assert (await _look(desk)).findings == (left,)


async def test_what_was_deleted_leaves_nothing_once_it_was_swept(desk: Desk) -> None:
    await _completed(desk)
    assert await desk.jobs.delete("job_1") is None
    desk.blobs.put(event_key("job_1", "evt_1"), b"{}")
    assert await _kinds(desk) == []
    desk.clock.step(31 * 60)
    assert await _kinds(desk) == [("content_left", "job_1")]
    await desk.upkeep.sweep()
    assert await _kinds(desk) == []
    desk.blobs.put(event_key("job_1", "evt_1"), b"{}")
    assert await _kinds(desk) == [("content_left", "job_1")]


async def test_a_cancelled_job_keeps_nothing_but_its_event(desk: Desk) -> None:
    await desk.running(await desk.account(), webhook_url=HOOK)
    await desk.jobs.cancel("job_1")
    await desk.dispatch.once()
    desk.clock.step(31 * 60)
    assert await _kinds(desk) == [("content_left", "job_1")]
    await desk.upkeep.empty("job_1")
    assert await _kinds(desk) == []
    assert [name.partition("/")[0] for name in desk.names()] == ["events"]


class _Moving(RecordedOrchestrator):
    """What seems lost at the first look is there at the next, and what was there is lost."""

    looks = 0

    async def under_way(self) -> list[tuple[str, int]]:
        self.looks += 1
        return await super().under_way()

    async def is_running(self, job_id: str, run: int) -> bool:
        return (job_id == "job_2") == (self.looks == 1)


async def test_only_what_stands_in_both_looks_is_told(desk: Desk) -> None:
    account = await desk.account()
    for job_id in ("job_1", "job_2"):
        await desk.running(account, job_id)
    moving = _Moving()
    audit = Audit(desk.records, desk.blobs, moving, desk.clock, PLANS)
    assert ((await audit.look(pause=AT_ONCE)).findings, moving.looks) == ((), 2)


async def test_a_temporal_that_is_away_is_said_and_the_rest_is_compared(desk: Desk) -> None:
    await _completed(desk)
    desk.blobs.delete(transcript_key("job_1"))
    desk.orchestrator.away = True
    found = await _look(desk)
    assert found.unchecked == {"temporal": "Temporal does not answer."}
    assert [one.kind for one in found.findings] == ["result_missing"]


async def test_a_store_that_is_away_is_said_and_the_rest_is_compared(desk: Desk) -> None:
    class Away(MemoryBlobs):
        def list(self, prefix: str) -> Iterator[BlobInfo]:
            raise Transient("store_unavailable", "The store is away.")

    await desk.running(await desk.account())
    _closed(desk, "job_1")
    desk.blobs = Away(desk.clock)
    found = await _look(desk)
    assert found.unchecked == {"store": "The store is away."}
    assert [one.kind for one in found.findings] == ["run_lost"]


async def test_an_account_above_its_plan_is_a_note(desk: Desk) -> None:
    """Its plan has become smaller; what runs may end."""
    account = await desk.account("pro")
    for number in range(3):
        await desk.running(account, f"job_{number}", decoded_s=1)
    assert (await _look(desk)).notes == ()
    await desk.accounts.change(account.account_id, plan="free")
    found = await _look(desk)
    assert found.findings == ()
    assert found.notes == (f"{account.account_id} runs 3 jobs, and its plan has room for 2",)


async def test_many_jobs_are_compared_in_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every border between two pages is crossed, of both streams."""
    monkeypatch.setattr("tiro.services.audit_store._PAGE", 2)
    monkeypatch.setattr("tiro.services.audit_flow._PAGE", 2)
    account = await desk.account("business")
    for number in range(5):
        await desk.running(account, f"job_{number}", decoded_s=1)
    for number in range(5, 10):
        desk.blobs.put(source_key(f"job_{number}"), b"recording")
    _closed(desk, "job_4")
    assert await _kinds(desk) == [
        ("run_lost", "job_4/1"),
        *(("object_unknown", f"job_{number}") for number in range(5, 10)),
    ]
