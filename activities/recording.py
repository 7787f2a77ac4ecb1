"""From an address or an upload to spans: fetch brings bytes in, ahead of a run that waits; ingest decodes once and cuts in silence."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from temporalio import activity

from activities.heartbeat import beating
from activities.sources import Sources
from activities.span_plan import plan_name, plan_of
from activities.tasks import IngestTask, Prepared, Run
from activities.threads import Threads
from tiro.model.blob import BlobRef, plan_key, source_key, span_audio_key, span_record_key
from tiro.model.errors import MediaRefused, Transient
from tiro.model.job import Job, JobPatch
from tiro.model.media import MediaProbe, Span, SpanPlan
from tiro.model.request import UrlSource
from tiro.ports import Blobs, Fetcher, Orchestrator, PreparedEnd, PreparedSpan, Preparer
from tiro.services.line import Line

LOOK_AGAIN_S = 2.0
"""A run whose recording is being fetched ahead asks so often whether it is there."""


class Recording:
    """Fetch and ingest. Both leave what exists as it is; a span is final when its record exists."""

    def __init__(
        self,
        line: Line,
        blobs: Blobs,
        fetcher: Fetcher,
        preparer: Preparer,
        orchestrator: Orchestrator,
        threads: Threads,
        scratch: Path,
    ) -> None:
        self._line = line
        self._blobs = blobs
        self._fetcher = fetcher
        self._preparer = preparer
        self._orchestrator = orchestrator
        self._threads = threads
        self._sources = Sources(blobs, threads, scratch)

    @activity.defn(name="fetch")
    async def fetch(self, task: Run) -> None:
        """Bring the recording behind the job's address into the store."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            await self._line.patch(task.job_id, task.run, JobPatch(stage="fetching"))
            if job.fetch_run == job.run and await self._orchestrator.is_fetching(job.job_id, job.run):
                # by now the address may open nothing: what began in time must end. Who waits for it keeps no place from it
                raise Transient("fetch_under_way", retry_after_s=LOOK_AGAIN_S)
            await self._bring(job)

    @activity.defn(name="fetch_ahead")
    async def fetch_ahead(self, task: Run) -> None:
        """The same while the job waits for its slot. One that has begun meanwhile is left to its own run."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            if job.state == "queued":
                await self._bring(job)

    async def _bring(self, job: Job) -> None:
        """Fetched once, however many ask."""
        key = source_key(job.job_id)
        if not isinstance(job.source, UrlSource) or await self._threads.run(self._blobs.head, key) is not None:
            return
        limits = await self._line.limits(job)
        url = self._line.source_url(job.source)
        fetched = await self._threads.run_stoppable(
            lambda stop: self._fetcher.fetch(url, limits, lambda: self._blobs.writer(key), stop)
        )
        await self._line.keep(job.job_id, job.run, fetched.blob)

    @activity.defn(name="ingest")
    async def ingest(self, task: IngestTask) -> Prepared:
        """Verify, decode once, cut; the plan is written once, and its length is held before it is used."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            await self._line.patch(task.job_id, task.run, JobPatch(stage="preparing"))
            plan = await self._existing_plan(job)
            if plan is None:
                plan = await self._prepare(job, task.announce_from_s)
            elif plan.decoded_s >= task.announce_from_s:
                # of a run before this one, maybe, whose announcements this workflow never heard
                await self._announce(job, plan.plan, plan.spans, 0)
            if not plan.spans or plan.decoded_s <= 0:
                raise MediaRefused("empty_audio")
            await self._line.prepared(job, plan)
            return Prepared(
                plan=plan.plan,
                layout=plan.layout,
                decoded_s=plan.decoded_s,
                speech_s=plan.speech_s,
                spans=plan.to_hear(job.options.vad),
            )

    async def _existing_plan(self, job: Job) -> SpanPlan | None:
        key = plan_key(job.job_id, self._plan_id(job))
        if await self._threads.run(self._blobs.head, key) is None:
            return None
        return msgspec.json.decode(await self._threads.run(self._blobs.get, key), type=SpanPlan)

    def _plan_id(self, job: Job) -> str:
        return plan_name(f"{self._preparer.version}|{job.options.diarize}" + ("" if job.options.vad else "|all"))

    async def _prepare(self, job: Job, announce_from_s: float) -> SpanPlan:
        plan_id = self._plan_id(job)
        limits = await self._line.limits(job)
        spans: list[Span] = []
        told = 0
        probe: MediaProbe | None = None
        end: PreparedEnd | None = None
        async with self._sources.folder() as folder:
            path = await self._threads.run(self._sources.local, job.job_id, folder)
            async with contextlib.aclosing(
                self._threads.iterate(lambda stop: self._preparer.prepare(path, limits, job.options.diarize, stop))
            ) as steps:
                async for step in steps:
                    match step:
                        case PreparedSpan():
                            await self._store_span(job, plan_id, step)
                            spans.append(step.span)
                            if step.span.end_s >= announce_from_s:
                                told = await self._announce(job, plan_id, spans, told)
                        case PreparedEnd():
                            end = step
                        case MediaProbe():
                            probe = step
        assert end is not None
        return await self._store_plan(job, plan_of(plan_id, spans, end, probe))

    async def _announce(self, job: Job, plan_id: str, spans: Sequence[Span], told: int) -> int:
        """Tell the workflow of spans that are final and to be heard; how many spans are told now."""
        for span in spans[told:]:
            if span.speech or not job.options.vad:
                await self._orchestrator.announce_span(job.job_id, job.run, plan_id, span.index)
        return len(spans)

    async def _store_span(self, job: Job, plan_id: str, step: PreparedSpan) -> None:
        record = span_record_key(job.job_id, plan_id, step.span.index)
        if await self._threads.run(self._blobs.head, record):
            return
        flac = await self._threads.run(self._preparer.encode, step.samples)
        audio = span_audio_key(job.job_id, plan_id, step.span.index)
        await self._line.keep(job.job_id, job.run, await self._threads.run(self._blobs.put, audio, flac, "audio/flac"))
        ref = await self._threads.run(self._blobs.put, record, msgspec.json.encode(step.span), "application/json")
        await self._line.keep(job.job_id, job.run, ref)

    async def _store_plan(self, job: Job, plan: SpanPlan) -> SpanPlan:
        """Written once: whoever comes second works with the first one's plan."""
        key, body = plan_key(job.job_id, plan.plan), msgspec.json.encode(plan)
        if not await self._threads.run(self._blobs.put_if_absent, key, body, "application/json"):
            return msgspec.json.decode(await self._threads.run(self._blobs.get, key), type=SpanPlan)
        await self._line.keep(
            job.job_id, job.run, BlobRef(key, len(body), sha256(body).hexdigest(), "application/json")
        )
        return plan
