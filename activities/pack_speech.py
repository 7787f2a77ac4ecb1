"""From a pack to transcripts: all its files are heard side by side, and what is done is written and charged in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from temporalio import activity

from activities.batch_tasks import HeardPack, TranscribePackTask
from activities.hearing import hear, spoken
from activities.heartbeat import beating
from activities.packing import MEDIA_TYPE, HeardFile, PackedFile, audio_of, encoded
from activities.threads import Threads
from activities.troubles import Troubles
from tiro.model.batch import BatchFile
from tiro.model.blob import file_id, pack_audio_key, pack_result_key
from tiro.model.errors import Permanent, Transient
from tiro.model.job import Job
from tiro.model.ledger import billable_seconds
from tiro.model.merge import merge
from tiro.model.pack import pack_name
from tiro.model.speech import EngineOptions
from tiro.ports import Blobs, Engine, Urgency
from tiro.services.batch_line import BatchLine
from tiro.services.line import Line


class PackSpeech:
    """`transcribe_pack`. A file that has an end is not heard again; the audio goes when all its files have one."""

    def __init__(
        self, line: Line, files: BatchLine, blobs: Blobs, engines: Mapping[str, Engine], threads: Threads
    ) -> None:
        self._line = line
        self._files = files
        self._blobs = blobs
        self._engines = engines
        self._threads = threads

    @activity.defn(name="transcribe_pack")
    async def transcribe_pack(self, task: TranscribePackTask) -> HeardPack:
        """Which of these files are to be heard once more, and which by the next engine."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            if not await self._open(task, task.files):
                return HeardPack()
            key = pack_audio_key(task.job_id, task.pack)
            try:
                pack = await self._threads.run(lambda: audio_of(self._blobs.get(key)))
            except Permanent:
                # an attempt that was thought lost has come to its end meanwhile, or somebody emptied the store
                return await self._without_audio(task)
            waiting = await self._open(task, [file.index for file in pack])
            wanted = [file for file in pack if file.index in waiting and file.index in task.files]
            station = f"transcribe_pack.{task.engines[0]}"
            troubles = Troubles(self._line, job.job_id, job.run, station, last=len(task.engines) == 1)
            heard = await self._hear(job, task, wanted, troubles)
            ended = [*await self._kept(job, task, wanted, heard), *troubles.ends()]
            await self._files.settle(ended)
            if waiting <= {file.index for file in ended}:
                await self._threads.run(self._blobs.delete, key)
            if troubles.ours is not None:
                raise troubles.ours
            return HeardPack(again=tuple(sorted(troubles.again)), passed=tuple(sorted(troubles.passed)))

    async def _without_audio(self, task: TranscribePackTask) -> HeardPack:
        """What has no end by now cannot be heard any more."""
        troubles = Troubles(self._line, task.job_id, task.run, "transcribe_pack")
        for index in await self._open(task, task.files):
            troubles.fail(index, "transient_error", "audio_missing")
        await self._files.settle(troubles.ends())
        return HeardPack()

    async def _open(self, task: TranscribePackTask, files: Sequence[int]) -> set[int]:
        """Those of these that are paid for and have no end."""
        first, last = min(files), max(files)
        known = await self._files.files(task.job_id, first, last - first + 1)
        return {index for index in files if index in known and known[index].state == "prepared"}

    async def _hear(
        self, job: Job, task: TranscribePackTask, files: Iterable[PackedFile], troubles: Troubles
    ) -> list[HeardFile]:
        async def one(file: PackedFile) -> HeardFile | None:
            try:
                return await self._heard(job, task, file)
            except Exception as error:  # noqa: BLE001 (a file's trouble is its own)
                await troubles.add(file.index, error)
                return None

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
        return [heard for done in tasks if (heard := done.result()) is not None]

    async def _heard(self, job: Job, task: TranscribePackTask, file: PackedFile) -> HeardFile:
        name = task.engines[0]
        engine = self._engines.get(name)
        if engine is None:
            raise Transient("engine_unavailable", "This worker does not have that engine.")
        if file.language is not None and not engine.supports(file.language, job.options.task):
            raise Transient("unsupported_language", "This engine does not know that language.")
        options = EngineOptions(
            language=file.language,
            task=job.options.task,
            prompt=job.options.prompt,
            vocabulary=job.options.vocabulary,
        )
        urgency = Urgency(task.job_id, task.priority)
        vad = job.options.vad
        parts = [await hear(engine, span, samples, options, urgency, vad=vad) for span, samples in file.spans(vad)]
        transcript = merge(
            file_id(job.job_id, file.index),
            file.plan,
            parts,
            None,
            language=file.language or spoken(parts),
            language_detected=file.language is None and self._line.facts(name).detects,
            primary_engine=self._line.facts(task.primary).model,
            fallback=name != task.primary,
        ).whole()
        return HeardFile(file.index, transcript)

    async def _kept(
        self, job: Job, task: TranscribePackTask, files: Iterable[PackedFile], heard: Sequence[HeardFile]
    ) -> list[BatchFile]:
        """Write one blob of all these transcripts; the files that it completes."""
        if not heard:
            return []
        name = pack_name(job.run, [file.index for file in heard], f"{task.pack}|{task.engines[0]}")
        data = await self._threads.run(encoded, heard)
        ref = await self._threads.run(self._blobs.put, pack_result_key(job.job_id, name), data, MEDIA_TYPE)
        await self._line.keep(job.job_id, job.run, ref)
        seconds = {file.index: billable_seconds(file.plan.decoded_s) for file in files}
        return [
            BatchFile(
                job_id=job.job_id,
                index=file.index,
                run=job.run,
                state="completed",
                seconds=seconds[file.index],
                pack=name,
            )
            for file in heard
        ]
