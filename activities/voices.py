"""Who spoke when: by channel where channels are speakers, else by the diarizer of this worker, over the prepared spans."""

from __future__ import annotations

import msgspec
from temporalio import activity

from activities.heartbeat import beating
from activities.tasks import DiarizeTask
from activities.threads import Threads
from tiro.model.blob import plan_key, span_audio_key, turns_key
from tiro.model.job import JobPatch
from tiro.model.media import Span, SpanPlan
from tiro.ports import Blobs, Diarizer, Preparer, Samples
from tiro.services.line import Line


class StoredSpan:
    """A span whose audio is read from the store when it is asked for: memory is bounded by the span."""

    def __init__(self, span: Span, key: str, blobs: Blobs, preparer: Preparer) -> None:
        self.span = span
        self._key = key
        self._blobs = blobs
        self._preparer = preparer

    def samples(self) -> Samples:
        """Load it."""
        return self._preparer.read(self._blobs.get(self._key))


class Voices:
    """Diarize. Turns that exist are left as they are."""

    def __init__(
        self, line: Line, blobs: Blobs, preparer: Preparer, mixed: Diarizer, separate: Diarizer, threads: Threads
    ) -> None:
        self._line = line
        self._blobs = blobs
        self._preparer = preparer
        self._mixed = mixed
        self._separate = separate
        self._threads = threads

    @activity.defn(name="diarize")
    async def diarize(self, task: DiarizeTask) -> str:
        """The id of the diarizer whose turns are in the store."""
        async with beating():
            plan = msgspec.json.decode(
                await self._threads.run(self._blobs.get, plan_key(task.job_id, task.plan)), type=SpanPlan
            )
            diarizer = self._separate if plan.layout == "channels" else self._mixed
            key = turns_key(task.job_id, task.plan, diarizer.id)
            if await self._threads.run(self._blobs.head, key) is None:
                spans = [
                    StoredSpan(span, span_audio_key(task.job_id, task.plan, span.index), self._blobs, self._preparer)
                    for span in plan.spans
                ]
                found = await self._threads.run_stoppable(lambda stop: diarizer.diarize(spans, stop))
                ref = await self._threads.run(self._blobs.put, key, msgspec.json.encode(found), "application/json")
                await self._line.keep(task.job_id, task.run, ref)
            await self._line.patch(task.job_id, task.run, JobPatch(diarizer=diarizer.id))
            return diarizer.id
