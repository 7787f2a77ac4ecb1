"""From an address or an upload to spans: fetch brings bytes in, ahead of a run that waits; ingest decodes once and cuts in silence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from temporalio import activity

from activities.heartbeat import beating
from activities.incoming import Incoming, Tee
from activities.sources import Sources
from activities.span_plan import plan_name, plan_of
from activities.tasks import FetchTask, IngestTask, Prepared, Run
from activities.threads import Threads
from tiro.model.blob import BlobRef, plan_key, source_key, span_audio_key, span_record_key
from tiro.model.errors import MediaRefused, Transient
from tiro.model.job import Job, JobPatch
from tiro.model.media import MediaProbe, Span, SpanPlan
from tiro.model.request import UrlSource
from tiro.ports import (
    Blobs,
    BlobWriter,
    Fetched,
    Fetcher,
    Growing,
    Orchestrator,
    PreparedEnd,
    PreparedSpan,
    Preparer,
)
from tiro.services.line import Line

LOOK_AGAIN_S = 2.0
"""A run whose recording is being fetched ahead asks so often whether it is there."""


CUT_WHILE_FETCHED = 2 * (os.cpu_count() or 1)
"""Recordings that are cut at once while they still come in; an address that gives one by drips keeps a place for long."""

Fetch = Callable[[Callable[[int | None], BlobWriter], threading.Event], Fetched]


class Differs(Exception):
    """A span that exists was cut from another recording: the address gave that to an attempt before this one."""

    def __init__(self, digest: str) -> None:
        self.digest = digest


class Recording:
    """Fetch and ingest. Both leave what exists as it is; a span is final when its record exists.

    What comes from an address is cut while it comes. Should that break off, another attempt asks again, and what it is given is
    compared with the spans that are there: where one differs, it is a plan of its own.
    """

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
        self._cutting = asyncio.Semaphore(CUT_WHILE_FETCHED)

    @activity.defn(name="fetch")
    async def fetch(self, task: FetchTask) -> None:
        """Bring the recording behind the job's address into the store, and cut it while it comes, if there is a place for that."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            await self._line.patch(task.job_id, task.run, JobPatch(stage="fetching"))
            if job.fetch_run == job.run and await self._orchestrator.is_fetching(job.job_id, job.run):
                # by now the address may open nothing: what began in time must end. Who waits for it keeps no place from it
                raise Transient("fetch_under_way", retry_after_s=LOOK_AGAIN_S)
            if task.announce_from_s is None or self._cutting.locked():
                await self._bring(job)
                return
            async with self._cutting:
                await self._bring_and_cut(job, task.announce_from_s)

    @activity.defn(name="fetch_ahead")
    async def fetch_ahead(self, task: Run) -> None:
        """Only bring it, while the job waits for its slot. One that has begun meanwhile is left to its own run."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            if job.state == "queued":
                await self._bring(job)

    async def _bring(self, job: Job) -> None:
        """Fetched once, however many ask."""
        fetch = await self._address(job)
        if fetch is not None:
            key = source_key(job.job_id)
            fetched = await self._threads.run_stoppable(lambda stop: fetch(lambda _: self._blobs.writer(key), stop))
            await self._line.keep(job.job_id, job.run, fetched.blob)

    async def _bring_and_cut(self, job: Job, announce_from_s: float) -> None:
        """The plan is written after the recording, which it would else be asked for in vain; `ingest` finds both."""
        fetch, key = await self._address(job), source_key(job.job_id)
        if fetch is None:
            return

        def bring(incoming: Incoming, folder: Path, stop: threading.Event) -> Fetched:
            return fetch(lambda size: Tee(incoming, self._blobs, key, folder / job.job_id, size), stop)

        async with self._sources.arriving(bring) as (incoming, fetched):
            plan: SpanPlan | None = None
            # our own trouble is no reason to break off what may be given only once: `ingest` will cut
            with contextlib.suppress(Transient):
                plan = await self._cut(job, incoming, announce_from_s)
            await self._line.keep(job.job_id, job.run, (await fetched).blob)
            if plan is not None:
                await self._store_plan(job, plan)

    async def _address(self, job: Job) -> Fetch | None:
        """What fetches the job's recording, unless it is there already or was brought to us."""
        there = await self._threads.run(self._blobs.head, source_key(job.job_id))
        if there is not None or not isinstance(job.source, UrlSource):
            return None
        limits, url = await self._line.limits(job), self._line.source_url(job.source)
        return lambda writer, stop: self._fetcher.fetch(url, limits, writer, stop)

    @activity.defn(name="ingest")
    async def ingest(self, task: IngestTask) -> Prepared:
        """Verify, decode once, cut; the plan is written once, and its length is held before it is used."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            plan = await self._existing_plan(job)
            if plan is None:
                await self._line.patch(task.job_id, task.run, JobPatch(stage="preparing"))
                async with self._sources.stored(job.job_id) as source:
                    plan = await self._store_plan(job, await self._cut(job, source, task.announce_from_s))
            elif plan.decoded_s >= task.announce_from_s:
                # of a run before this one, maybe, whose announcements this workflow never heard
                await self._announce(job, plan.plan, plan.spans, 0)
            assert plan is not None
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

    async def _cut(self, job: Job, source: Path | Growing, announce_from_s: float) -> SpanPlan:
        """Under the name of the way it is cut; where that has spans of another recording, under one that what differs gives it."""
        plan_id = self._plan_id(job)
        while True:
            try:
                return await self._cut_as(job, plan_id, source, announce_from_s)
            except Differs as other:
                plan_id = plan_name(f"{plan_id}|{other.digest}")

    async def _cut_as(self, job: Job, plan_id: str, source: Path | Growing, announce_from_s: float) -> SpanPlan:
        """Raises Differs."""
        limits = await self._line.limits(job)
        spans: list[Span] = []
        told = 0
        probe: MediaProbe | None = None
        end: PreparedEnd | None = None
        async with contextlib.aclosing(
            self._threads.iterate(lambda stop: self._preparer.prepare(source, limits, job.options.diarize, stop))
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
                # the sound of a span is not to stay while the next one is cut
                del step
        assert end is not None
        return plan_of(plan_id, spans, end, probe)

    async def _announce(self, job: Job, plan_id: str, spans: Sequence[Span], told: int) -> int:
        """Tell the workflow of spans that are final and to be heard; how many spans are told now."""
        for span in spans[told:]:
            if span.speech or not job.options.vad:
                await self._orchestrator.announce_span(job.job_id, job.run, plan_id, span.index)
        return len(spans)

    async def _store_span(self, job: Job, plan_id: str, step: PreparedSpan) -> None:
        record, audio = (key(job.job_id, plan_id, step.span.index) for key in (span_record_key, span_audio_key))
        if await self._threads.run(self._blobs.head, record):
            # what was brought to us stays as it is; an address may give something else each time
            if isinstance(job.source, UrlSource):
                await self._threads.run(self._compare, record, audio, step)
            return
        flac = await self._threads.run(self._preparer.encode, step.samples)
        await self._line.keep(job.job_id, job.run, await self._threads.run(self._blobs.put, audio, flac, "audio/flac"))
        ref = await self._threads.run(self._blobs.put, record, msgspec.json.encode(step.span), "application/json")
        await self._line.keep(job.job_id, job.run, ref)

    def _compare(self, record: str, audio: str, step: PreparedSpan) -> None:
        """Raises Differs. Blocking."""
        span = msgspec.json.encode(step.span)
        if self._blobs.get(record) == span and np.array_equal(
            self._preparer.read(self._blobs.get(audio)), step.samples
        ):
            return
        raise Differs(sha256(span + step.samples.tobytes()).hexdigest())

    async def _store_plan(self, job: Job, plan: SpanPlan) -> SpanPlan:
        """Written once: whoever comes second works with the first one's plan."""
        key, body = plan_key(job.job_id, plan.plan), msgspec.json.encode(plan)
        if not await self._threads.run(self._blobs.put_if_absent, key, body, "application/json"):
            return msgspec.json.decode(await self._threads.run(self._blobs.get, key), type=SpanPlan)
        await self._line.keep(
            job.job_id, job.run, BlobRef(key, len(body), sha256(body).hexdigest(), "application/json")
        )
        return plan
