"""What does ingest say of a recording that was cut before, and leave of one that nobody wants any more?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from temporalio.testing import ActivityEnvironment

from activities.recording import Recording
from activities.tasks import IngestTask, Prepared
from activities.threads import Threads
from tests.servers.databases import SteppedClock
from tests.unit.services.desk import Desk
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.blob import plan_key
from tiro.model.job import Job
from tiro.model.media import Span, SpanPlan
from tiro.model.request import JobOptions, UrlSource
from tiro.services.line import Superseded


class KnownLine:
    """The job runs; whatever is written is taken."""

    def __init__(self, job: Job) -> None:
        self._job = job

    async def job(self, job_id: str, run: int) -> Job:
        return self._job

    async def patch(self, job_id: str, run: int, patch: Any) -> None: ...

    async def prepared(self, job: Job, plan: SpanPlan) -> None: ...


class Announced:
    """Remembers which spans a workflow was told of."""

    def __init__(self) -> None:
        self.spans: list[int] = []

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        self.spans.append(index)


async def _ingested(tmp_path: Path, span_s: float, options: JobOptions) -> tuple[Prepared, list[int], str]:
    """Of four spans, the second without speech, that were cut before: what is said, what was announced, and the name of the plan."""
    clock, announced = SteppedClock(), Announced()
    job = Job(
        job_id="job_1",
        account_id="acct_1",
        dialect="jobs",
        options=options,
        source=UrlSource(b""),
        run=2,
        created_at=clock.now(),
        changed_at=clock.now(),
    )
    blobs = MemoryBlobs(clock)
    with ThreadPoolExecutor(1) as executor:
        recording = Recording(
            KnownLine(job),  # type: ignore[arg-type]
            blobs,
            None,  # type: ignore[arg-type]
            SimpleNamespace(version="1"),  # type: ignore[arg-type]
            announced,  # type: ignore[arg-type]
            Threads(executor),
            tmp_path,
        )
        plan = recording._plan_id(job)
        spans = tuple(
            Span(n, 0, n * span_s, (n + 1) * span_s, () if n == 1 else ((n * span_s, (n + 1) * span_s),))
            for n in range(4)
        )
        stored = SpanPlan(plan, "mono", spans, decoded_s=4 * span_s)
        blobs.put(plan_key("job_1", plan), msgspec.json.encode(stored))
        prepared = await ActivityEnvironment().run(recording.ingest, IngestTask("job_1", 2, 300.0))
    return prepared, announced.spans, plan


@pytest.mark.parametrize(("span_s", "told"), [(150.0, [0, 2, 3]), (50.0, [])])
async def test_spans_of_a_long_recording_are_announced_again_to_a_new_run(
    tmp_path: Path, span_s: float, told: list[int]
) -> None:
    """Else all spans of ten hours would be one activity; a short recording is one all the same."""
    prepared, announced, _ = await _ingested(tmp_path, span_s, JobOptions())
    assert prepared.spans == (0, 2, 3)
    assert announced == told


@pytest.mark.promise("T15")
async def test_where_every_second_is_heard_spans_without_speech_are_too(tmp_path: Path) -> None:
    """And what was heard so is never taken for what was heard otherwise; the length, which is billed, is the same."""
    prepared, announced, plan = await _ingested(tmp_path, 150.0, JobOptions(vad=False))
    with_speech, _, usual = await _ingested(tmp_path, 150.0, JobOptions())
    assert prepared.spans == (0, 1, 2, 3)
    assert announced == [0, 1, 2, 3]
    assert plan != usual
    assert prepared.decoded_s == with_speech.decoded_s


async def test_a_plan_that_is_written_too_late_is_removed_again(desk: Desk, tmp_path: Path) -> None:
    """The job was cancelled, and emptied, while its recording was cut."""
    job = await desk.running(await desk.account())
    await desk.endings.end(job.job_id, 1, "cancelled")
    await desk.upkeep.empty(job.job_id)
    with ThreadPoolExecutor(1) as executor:
        recording = Recording(
            desk.line,
            desk.blobs,
            None,  # type: ignore[arg-type]
            SimpleNamespace(version="1"),  # type: ignore[arg-type]
            desk.orchestrator,
            Threads(executor),
            tmp_path,
        )
        with pytest.raises(Superseded):
            await recording._store_plan(job, SpanPlan("late", "mono", (), decoded_s=120.0))
    assert desk.names() == []
