"""From files of a batch that are there to packs that can be heard: decoded several at a time, paid for together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
from temporalio import activity

from activities.batch_tasks import Ingested, IngestPackTask, Pack
from activities.entries import Entries
from activities.heartbeat import beating
from activities.pack_fetch import PackFetch
from activities.packing import MEDIA_TYPE, PackedFile, encoded, packed
from activities.sources import SourceChanged, Sources
from activities.threads import Threads
from activities.troubles import Troubles
from tiro.model.batch import ManifestEntry
from tiro.model.blob import file_id, pack_audio_key, source_key
from tiro.model.errors import MediaRefused
from tiro.model.job import Job
from tiro.model.ledger import billable_seconds
from tiro.model.media import MediaLimits
from tiro.model.pack import PACK_S, Packing, pack_name
from tiro.ports import Blobs, PreparedFile, Preparer
from tiro.services.batch_line import BatchLine
from tiro.services.line import Line

GROUP_BYTES = 256 << 20
"""Recordings that lie in scratch together; one that is larger is no short one."""


class Packs:
    """`ingest_pack`. Done again, it makes the same packs of what has no end yet; a file's trouble is its own."""

    def __init__(
        self,
        line: Line,
        files: BatchLine,
        blobs: Blobs,
        fetch: PackFetch,
        preparer: Preparer,
        threads: Threads,
        scratch: Path,
    ) -> None:
        self._line = line
        self._files = files
        self._blobs = blobs
        self._fetch = fetch
        self._preparer = preparer
        self._threads = threads
        self._sources = Sources(blobs, threads, scratch)
        self._entries = Entries(files, blobs, threads)

    @activity.defn(name="ingest_pack")
    async def ingest_pack(self, task: IngestPackTask) -> Ingested:
        """Packs of at most 300 s, the files that are longer, and those to be asked for again; the others have failed."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            limits = await self._line.limits(job)
            troubles = Troubles(self._line, job.job_id, job.run, "ingest_pack")
            entries = await self._entries.waiting(job, task.files)
            # pages that began before fetching was a station of its own
            fetched = {} if task.fetched else await self._fetch.bring(job, entries, limits, task.room_bytes, troubles)
            sizes = await self._sizes(job, [entry for entry in entries if not troubles.has(entry.index)], troubles)
            here = [entry for entry in entries if entry.index in sizes]
            long = [entry.index for entry in here if job.options.diarize or sizes[entry.index] > GROUP_BYTES]
            short = [entry for entry in here if entry.index not in long]
            packs = await self._prepare(job, list(_groups(short, sizes)), sizes, limits, long, troubles)
            await self._files.settle(troubles.ends())
            if troubles.ours is not None:
                raise troubles.ours
            return Ingested(
                packs=tuple(packs),
                long=tuple(sorted(long)),
                again=tuple(sorted(troubles.again)),
                fetched_bytes=sum(fetched.values()),
            )

    async def _sizes(self, job: Job, entries: Sequence[ManifestEntry], troubles: Troubles) -> dict[int, int]:
        """Index -> bytes; what is not there any more has failed."""
        keys = {entry.index: source_key(file_id(job.job_id, entry.index)) for entry in entries}
        found = await self._threads.run(lambda: {index: self._blobs.head(key) for index, key in keys.items()})
        for index, info in found.items():
            if info is None:
                troubles.fail(index, "source_unavailable", "gone")
        return {index: info.size_bytes for index, info in found.items() if info is not None}

    async def _prepare(
        self,
        job: Job,
        groups: Sequence[Sequence[ManifestEntry]],
        sizes: dict[int, int],
        limits: MediaLimits,
        long: list[int],
        troubles: Troubles,
    ) -> list[Pack]:
        """Decode group by group, and close packs as they fill; memory is bounded by one pack."""
        packs: list[Pack] = []
        packing = Packing[PackedFile]()
        for group in groups:
            async for entry, prepared in self._decoded(job, group, sizes, limits, troubles):
                file = await self._judged(job, entry, prepared, limits, long, troubles)
                if file is not None and (full := packing.put(file, file.plan.decoded_s)):
                    packs += await self._close(job, full, troubles)
        return packs + await self._close(job, packing.rest(), troubles)

    async def _decoded(
        self,
        job: Job,
        group: Sequence[ManifestEntry],
        sizes: dict[int, int],
        limits: MediaLimits,
        troubles: Troubles,
    ) -> AsyncIterator[tuple[ManifestEntry, PreparedFile]]:
        short = msgspec.structs.replace(limits, max_duration_s=min(limits.max_duration_s, PACK_S))
        async with self._sources.folder() as folder:
            here: list[ManifestEntry] = []
            paths: list[Path] = []
            for entry in group:
                name, size = file_id(job.job_id, entry.index), sizes[entry.index]
                try:
                    paths.append(await self._threads.run(self._sources.local, name, folder, size))
                    here.append(entry)
                except SourceChanged as changed:
                    await troubles.add(entry.index, changed)
            if not here:
                return
            async with contextlib.aclosing(
                self._threads.iterate(lambda stop: self._preparer.prepare_each(paths, short, stop))
            ) as each:
                async for prepared in each:
                    yield here[prepared.number], prepared

    async def _judged(
        self,
        job: Job,
        entry: ManifestEntry,
        prepared: PreparedFile,
        limits: MediaLimits,
        long: list[int],
        troubles: Troubles,
    ) -> PackedFile | None:
        """The file as it can be packed; None: it is too long for that, or refused."""
        error = prepared.error
        if (
            isinstance(error, MediaRefused)
            and error.reason == "duration_exceeds_limit"
            and limits.max_duration_s > PACK_S
        ):
            long.append(entry.index)
        elif error is not None:
            await troubles.add(entry.index, error)
        elif not prepared.spans or not prepared.end or prepared.end.decoded_s <= 0:
            await troubles.add(entry.index, MediaRefused("empty_audio"))
        else:
            language = entry.language or job.options.language
            return packed(entry.index, language, prepared, way=self._preparer.version, vad=job.options.vad)
        return None

    async def _close(self, job: Job, files: Sequence[PackedFile], troubles: Troubles) -> list[Pack]:
        """Hold the money, then write the pack; what the money does not reach for has failed. Raises FundsShort for the whole batch."""
        seconds = {file.index: billable_seconds(file.plan.decoded_s) for file in files}
        refused = await self._files.prepare(job.job_id, job.run, seconds)
        for index in refused:
            troubles.fail(index, "insufficient_funds")
        paid = [file for file in files if file.index not in refused]
        if not paid:
            return []
        pack = Pack(
            pack_name(job.run, [file.index for file in paid], self._preparer.version),
            tuple(file.index for file in paid),
        )
        key = pack_audio_key(job.job_id, pack.name)
        ref = await self._threads.run(lambda: self._blobs.put(key, encoded(paid), MEDIA_TYPE))
        await self._line.keep(job.job_id, job.run, ref)
        return [pack]


def _groups(entries: Sequence[ManifestEntry], sizes: dict[int, int]) -> Iterator[list[ManifestEntry]]:
    """In order, as many as may lie in scratch together."""
    group: list[ManifestEntry] = []
    for entry in entries:
        if group and sum(sizes[one.index] for one in (*group, entry)) > GROUP_BYTES:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
