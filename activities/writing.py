"""From parts and turns to what the owner reads: merge makes the transcript, publish its files, finish does both and settles."""

from __future__ import annotations

import msgspec
from temporalio import activity

from activities.flow import settled_as
from activities.hearing import spoken
from activities.heartbeat import beating
from activities.tasks import MergeTask, Run, SettledAs
from activities.threads import Threads
from tiro.model.blob import BlobRef, part_key, plan_key, result_key, transcript_key, turns_key
from tiro.model.job import Job, JobPatch, Stage
from tiro.model.media import SpanPlan
from tiro.model.merge import merge
from tiro.model.speech import Diarization, StoredPart
from tiro.model.transcript import StoredTranscript, Transcript
from tiro.ports import Blobs
from tiro.render import FORMATS
from tiro.render.neutral import json_pieces
from tiro.services.ending import Endings
from tiro.services.line import Line


class Writing:
    """Merge, publish, finish. The same parts give the same bytes, however often they are merged."""

    def __init__(self, line: Line, blobs: Blobs, endings: Endings, threads: Threads) -> None:
        self._line = line
        self._blobs = blobs
        self._endings = endings
        self._threads = threads

    @activity.defn(name="merge")
    async def merge(self, task: MergeTask) -> None:
        """Write the transcript."""
        async with beating():
            job = await self._at_stage(task.job_id, task.run, "merging")
            written, head = await self._threads.run(self._merged, task)
            patch = JobPatch(
                transcript=await self._line.keep(job.job_id, job.run, written),
                engine=head.engine,
                fallback=head.fallback,
                language=head.language,
                warnings=tuple(dict.fromkeys((*job.warnings, *head.warnings))),
            )
            await self._line.patch(task.job_id, task.run, patch)

    @activity.defn(name="publish")
    async def publish(self, task: Run) -> None:
        """Write the files that were asked for."""
        async with beating():
            job = await self._at_stage(task.job_id, task.run, "publishing")
            if not job.options.formats:
                return
            transcript = await self._threads.run(self._transcript, task.job_id)
            for name in job.options.formats:
                await self._kept(job, name, await self._threads.run(FORMATS[name].render, transcript))

    @activity.defn(name="finish")
    async def finish(self, task: MergeTask) -> SettledAs:
        """Merge, publish and settle of a short recording, in one go."""
        await self.merge(task)
        await self.publish(Run(task.job_id, task.run))
        return settled_as(await self._endings.end(task.job_id, task.run, "completed"), self._endings)

    async def _at_stage(self, job_id: str, run: int, stage: Stage) -> Job:
        job = await self._line.job(job_id, run)
        await self._line.patch(job_id, run, JobPatch(stage=stage))
        return job

    async def _kept(self, job: Job, name: str, body: bytes) -> None:
        key, media_type = result_key(job.job_id, name), FORMATS[name].media_type
        await self._line.keep(job.job_id, job.run, await self._threads.run(self._blobs.put, key, body, media_type))

    def _transcript(self, job_id: str) -> StoredTranscript:
        return StoredTranscript.read(self._blobs.get(transcript_key(job_id)))

    def _merged(self, task: MergeTask) -> tuple[BlobRef, Transcript]:
        """Writes the transcript; what is returned has no segments, and of a long one all of them are nowhere in memory at once."""
        plan = msgspec.json.decode(self._blobs.get(plan_key(task.job_id, task.plan)), type=SpanPlan)
        parts = [
            msgspec.json.decode(
                self._blobs.get(part_key(task.job_id, task.plan, one.engine, one.index)), type=StoredPart
            )
            for one in task.parts
        ]
        head, segments = merge(
            task.job_id,
            plan,
            parts,
            self._turns(task),
            language=task.language or spoken(parts),
            language_detected=task.language_detected,
            primary_engine=self._line.facts(task.primary).model,
            fallback=any(one.engine != task.primary for one in task.parts),
        )
        warnings = (*plan.warnings, *task.warnings, *(warning for part in parts for warning in part.warnings))
        head = msgspec.structs.replace(head, warnings=tuple(dict.fromkeys((*head.warnings, *warnings))))
        writer = self._blobs.writer(transcript_key(task.job_id), "application/json")
        try:
            for piece in json_pieces(head, segments):
                writer.write(piece)
            return writer.commit(), head
        finally:
            writer.abort()

    def _turns(self, task: MergeTask) -> Diarization | None:
        """None: not asked for. Without turns although asked for, no word can be given a speaker."""
        if not task.diarize:
            return None
        if task.diarizer is None:
            return Diarization("none", (), 0)
        stored = self._blobs.get(turns_key(task.job_id, task.plan, task.diarizer))
        return msgspec.json.decode(stored, type=Diarization)
