"""From spans to words: a vote on the language, then every span through an engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from temporalio import activity

from activities.hearing import hear, samples_of
from activities.heartbeat import beating
from activities.tasks import DetectTask, HeardSpan, TranscribeTask
from activities.threads import Threads
from tiro.model.blob import part_key, span_audio_key, span_record_key
from tiro.model.errors import Transient
from tiro.model.job import Job, JobPatch
from tiro.model.media import Span
from tiro.model.speech import EngineOptions, Part
from tiro.model.windows import Interval, cut
from tiro.ports import Blobs, Engine, Preparer, Samples, Urgency
from tiro.services.line import Line

VOTES = 5
"""Windows that vote on the language."""
OPENING_S = 30.0
"""Speech in the first seconds of a recording decides alone, where it is clearly in one language."""
CLEAR = 0.8
"""From this probability on."""
LEAST_OPENING_S = 3.0


class Speech:
    """Detect and transcribe. A part, once written, is never made again."""

    def __init__(
        self, line: Line, blobs: Blobs, preparer: Preparer, engines: Mapping[str, Engine], threads: Threads
    ) -> None:
        self._line = line
        self._blobs = blobs
        self._preparer = preparer
        self._engines = engines
        self._threads = threads

    @activity.defn(name="detect")
    async def detect(self, task: DetectTask) -> str | None:
        """The language that the recording opens in, or where that is not clear, that most of its speech is in; None: nothing to go by."""
        async with beating():
            await self._line.patch(task.job_id, task.run, JobPatch(stage="detecting"))
            engine = self._engine(task.engine)
            urgency = Urgency(task.job_id, 1)
            windows: list[Samples] = []
            for number, index in enumerate(task.spans):
                span, samples = await self._load(task.job_id, task.plan, index)
                longest_s = min(30.0, engine.max_window_s)
                if number == 0 and (opening := _opening(span, longest_s)):
                    (heard,) = await engine.detect([samples_of(samples, span, opening)], urgency)
                    if max(heard.values(), default=0.0) >= CLEAR:
                        return _winner([heard])
                windows += [samples_of(samples, span, window) for window in cut(span, longest_s)]
                if len(windows) >= VOTES:
                    break
            return _winner(await engine.detect(windows[:VOTES], urgency)) if windows else None

    @activity.defn(name="transcribe")
    async def transcribe(self, task: TranscribeTask) -> list[HeardSpan]:
        """One part per span."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            if job.stage != "transcribing":
                await self._line.patch(task.job_id, task.run, JobPatch(stage="transcribing"))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._span(job, task, index)) for index in task.spans]
            return [done.result() for done in tasks]

    async def _span(self, job: Job, task: TranscribeTask, index: int) -> HeardSpan:
        for known in dict.fromkeys((task.engine, *task.accept)):
            if await self._threads.run(self._blobs.head, part_key(task.job_id, task.plan, known, index)):
                await self._line.span_done(task.job_id, task.run, task.plan, index)
                return HeardSpan(index, known)
        hearing = self._line.hearing(job)
        part = await self._heard(job, task, index)
        key = part_key(task.job_id, task.plan, task.engine, index)
        ref = await self._threads.run(self._blobs.put, key, msgspec.json.encode(part), "application/json")
        await self._line.keep(task.job_id, task.run, ref)
        await self._line.span_done(task.job_id, task.run, task.plan, index, hearing)
        return HeardSpan(index, task.engine)

    async def _heard(self, job: Job, task: TranscribeTask, index: int) -> Part:
        """Its sound is let go before what was heard is written."""
        engine = self._engine(task.engine)
        if task.language is not None and not engine.supports(task.language, job.options.task):
            raise Transient("unsupported_language", "This engine does not know the language that was detected.")
        span, samples = await self._load(task.job_id, task.plan, index)
        options = EngineOptions(
            language=task.language,
            task=job.options.task,
            prompt=job.options.prompt,
            vocabulary=job.options.vocabulary,
        )
        return await hear(engine, span, samples, options, Urgency(task.job_id, task.priority), vad=job.options.vad)

    def _engine(self, name: str) -> Engine:
        engine = self._engines.get(name)
        if engine is None:
            raise Transient("engine_unavailable", "This worker does not have that engine.")
        return engine

    async def _load(self, job_id: str, plan: str, index: int) -> tuple[Span, Samples]:
        def read() -> tuple[Span, Samples]:
            span = msgspec.json.decode(self._blobs.get(span_record_key(job_id, plan, index)), type=Span)
            return span, self._preparer.read(self._blobs.get(span_audio_key(job_id, plan, index)))

        return await self._threads.run(read)


def _opening(span: Span, longest_s: float) -> Interval | None:
    """The first seconds of the recording, if they hold enough speech to go by."""
    end_s = min(OPENING_S, span.end_s, span.start_s + longest_s)
    spoken_s = sum(max(0.0, min(end, end_s) - begin) for begin, end in span.speech)
    return (span.start_s, end_s) if spoken_s >= LEAST_OPENING_S else None


def _winner(votes: Sequence[Mapping[str, float]]) -> str | None:
    total: Counter[str] = Counter()
    for vote in votes:
        total.update(vote)
    return total.most_common(1)[0][0] if total else None
