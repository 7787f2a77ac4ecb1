"""How bytes come that a client brings to the store by itself: where it may put them, and what follows when it says that all is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from tiro.model.blob import BlobRef, job_of, source_key
from tiro.model.errors import Conflict, Invalid, NotFound, Permanent
from tiro.model.job import Job
from tiro.model.plans import Plans
from tiro.model.request import AwaitedSource, JobRequest, ManifestSource, Source, UploadedSource, is_brought
from tiro.model.upload import (
    MOST_BYTES,
    URLS_LIVE,
    Instructions,
    PartAddress,
    PartsInstructions,
    PutInstructions,
    StoredPart,
    Wanted,
    part_bytes_of,
    parts_of,
)
from tiro.ports import Blobs, BlobWriter, Clock, PartsDesk, PartWriter, Records, UploadDesk
from tiro.services.ending import Endings, Fault
from tiro.services.intake import Intake
from tiro.sign import Pass, Passes
from tiro.sign.passes import moment

_UNTYPED = "application/octet-stream"
ASSEMBLIES = 2
"""Uploads of one process that are put together at once: gigabytes may be copied, by threads that all other calls need too."""


class Uploads:
    """Addresses for bytes that are awaited, and their arrival. Every use of an upload is written down: a day of silence ends it."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        desk: UploadDesk,
        parts: PartsDesk | None,
        passes: Passes,
        intake: Intake,
        endings: Endings,
        plans: Plans,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """`parts`: the same desk, where its addresses lead to us."""
        self._records = records
        self._blobs = blobs
        self._desk = desk
        self._parts = parts
        self._passes = passes
        self._intake = intake
        self._endings = endings
        self._plans = plans
        self._clock = clock
        self._wake = wake
        self._assembling = asyncio.Semaphore(ASSEMBLIES)

    async def open_single(self, request: JobRequest) -> tuple[Job, Instructions]:
        """A job that awaits its recording (`request.source` an AwaitedSource), and where that goes. Raises as `Intake.submit`."""
        job = await self._intake.submit(request)
        assert isinstance(job, Job)
        assert isinstance(job.source, AwaitedSource)
        return job, (await self.instructions(job.job_id, [await self._wanted(job, job.source)]))[0]

    async def instructions(self, job_id: str, wanted: Sequence[Wanted]) -> list[Instructions]:
        """Addresses for an hour, for keys below a job that still awaits bytes. Raises NotFound, Conflict `invalid_job_status`."""
        await self.heard_of(job_id)
        until = self._clock.now() + URLS_LIVE
        return await asyncio.to_thread(lambda: [self._issue(one, until) for one in wanted])

    async def resume(self, job_id: str, key: str, upload_id: str | None, account_id: str | None = None) -> Instructions:
        """Fresh addresses for what is still missing of a single recording. `upload_id` None: it comes in one piece.

        Raises NotFound, Conflict `invalid_job_status`, Invalid `invalid_upload` for another key or an upload that is not open.
        """
        job = await self._job(job_id, account_id)
        if not job.awaiting or job.ended or not isinstance(job.source, AwaitedSource):
            raise _wrong_state(job)
        wanted = await self._wanted(job, job.source)
        if key != wanted.key or wanted.in_parts != (upload_id is not None):
            raise Invalid("invalid_upload", "This is not the upload of this job.", param="upload")
        if upload_id is None:
            return (await self.instructions(job_id, [wanted]))[0]
        await self.heard_of(job_id)
        return await asyncio.to_thread(self._rest, wanted, upload_id, self._clock.now() + URLS_LIVE)

    async def arrived(self, job_id: str, account_id: str | None = None) -> Job:
        """All was brought: the job is queued, or ended where what is there cannot be what was meant. Again: the job as it stands.

        Raises NotFound, Conflict `invalid_job_status` for a job that has ended or never awaited anything.
        """
        job = await self._job(job_id, account_id)
        if job.ended or not is_brought(job.source):
            raise _wrong_state(job)
        if not job.awaiting:
            return job
        match job.source:
            case AwaitedSource():
                return await self._single_arrived(job, job.source)
            case ManifestSource():
                # what its manifest demands is looked at by the batch itself
                return await self._arrive(job, job.source)
            case _:
                return job

    async def heard_of(self, job_id: str) -> None:
        """Something of its upload goes on. Raises NotFound, Conflict `invalid_job_status` when it awaits nothing (any more)."""
        async with self._records.begin() as tx:
            job = await tx.jobs.get(job_id)
            if job is None or job.deleted_at is not None:
                raise NotFound("not_found", "There is no such job.")
            if not job.awaiting or job.ended:
                raise _wrong_state(job)
            await tx.jobs.begin_upload(job_id, job.account_id, self._clock.now())

    def writer(self, allowed: Pass) -> BlobWriter:
        """Where the bytes of a `put` go. Blocking."""
        return self._blobs.writer(allowed.subject, allowed.media_type or _UNTYPED)

    def part_writer(self, allowed: Pass) -> PartWriter:
        """Where the bytes of a `part` go. Blocking. Raises Permanent `upload_missing`."""
        if self._parts is None:
            raise Permanent("upload_missing", "Parts are not brought to this address.")
        return self._parts.part_writer(allowed.subject, allowed.upload_id, allowed.number)

    async def complete(self, allowed: Pass, etags: Mapping[int, str]) -> None:
        """Put the parts together. Again, also when its job has arrived meanwhile: done.

        Raises NotFound, Conflict `invalid_job_status`, Permanent `upload_missing`, Invalid `invalid_upload`.
        """
        try:
            await self.heard_of(job_of(allowed.subject))
        except Conflict:
            if await asyncio.to_thread(self._blobs.head, allowed.subject) is None:
                raise
            return
        async with self._assembling:
            # whoever waited behind a call for the same parts finds it done
            await asyncio.to_thread(self._desk.complete, allowed.subject, allowed.upload_id, etags)

    async def abort(self, allowed: Pass) -> None:
        """Forget the parts; harmless when there are none."""
        await asyncio.to_thread(self._desk.abort, allowed.subject, allowed.upload_id)

    def _issue(self, wanted: Wanted, until: datetime) -> Instructions:
        if not wanted.in_parts:
            address = self._desk.put(
                wanted.key,
                size_bytes=wanted.size_bytes,
                media_type=wanted.media_type,
                at_most_bytes=wanted.at_most_bytes,
                until=until,
            )
            return PutInstructions(wanted.key, address.url, address.headers)
        return self._in_parts(wanted, self._desk.begin(wanted.key), {}, until)

    def _rest(self, wanted: Wanted, upload_id: str, until: datetime) -> Instructions:
        """A part of another size than it should have is brought again."""
        try:
            present = self._desk.present(wanted.key, upload_id)
        except Permanent as gone:
            if gone.code != "upload_missing":
                raise
            if self._blobs.head(wanted.key) is None:
                raise Invalid("invalid_upload", "No such upload is open.", param="upload") from None
            # completed, and the client has not heard of it: nothing is missing
            return self._in_parts(wanted, upload_id, None, until)
        due = parts_of(wanted.size_bytes or 0)
        whole = {number: part for number, part in present.items() if due.get(number) == part.size_bytes}
        return self._in_parts(wanted, upload_id, whole, until)

    def _in_parts(
        self, wanted: Wanted, upload_id: str, present: dict[int, StoredPart] | None, until: datetime
    ) -> PartsInstructions:
        """`present` None: all of them were."""
        due = parts_of(wanted.size_bytes or 0)
        part_bytes = part_bytes_of(wanted.size_bytes or 0)
        missing = [number for number in due if present is not None and number not in present]

        def address(number: int) -> str:
            return self._desk.part(wanted.key, upload_id, number, at_most_bytes=part_bytes, until=until)

        def ours(deed: Literal["complete", "abort"]) -> str:
            return self._passes.url(Pass(deed=deed, subject=wanted.key, until=moment(until), upload_id=upload_id))

        return PartsInstructions(
            key=wanted.key,
            upload_id=upload_id,
            part_bytes=part_bytes,
            parts=tuple(PartAddress(number, address(number)) for number in missing),
            complete_url=ours("complete"),
            abort_url=ours("abort"),
            present=present or {},
        )

    async def _single_arrived(self, job: Job, source: AwaitedSource) -> Job:
        found = await asyncio.to_thread(self._blobs.head, source_key(job.job_id))
        most = (await self._wanted(job, source)).at_most_bytes
        if found is None:
            return await self._refused(job, Fault("upload_missing"))
        if source.size_bytes is not None and found.size_bytes != source.size_bytes:
            return await self._refused(job, Fault("upload_size_mismatch"))
        if found.size_bytes > most:
            return await self._refused(job, Fault("file_too_large", extras={"limit_bytes": most}))
        blob = BlobRef(found.key, found.size_bytes, None, source.media_type or _UNTYPED)
        return await self._arrive(job, UploadedSource(blob))

    async def _arrive(self, job: Job, source: Source) -> Job:
        async with self._records.begin() as tx:
            arrived = await tx.jobs.arrive(job.job_id, source, self._clock.now())
        self._wake()
        # None: another call was first, or the job ended meanwhile
        return arrived or await self._job(job.job_id, job.account_id)

    async def _refused(self, job: Job, fault: Fault) -> Job:
        return (await self._endings.end(job.job_id, job.run, "failed", fault)).job

    async def _job(self, job_id: str, account_id: str | None) -> Job:
        async with self._records.look() as tx:
            job = await tx.jobs.get(job_id, account_id)
        if job is None or job.deleted_at is not None:
            raise NotFound("not_found", "There is no such job.")
        return job

    async def _wanted(self, job: Job, source: AwaitedSource) -> Wanted:
        """The job's own cap, else its account's plan's as it is now."""
        most = job.limits.max_bytes if job.limits else None
        if most is None:
            async with self._records.look() as tx:
                account = await tx.accounts.get(job.account_id)
            most = self._plans.of(account).max_bytes if account else 0
        return Wanted(source_key(job.job_id), source.size_bytes, source.media_type, min(most, MOST_BYTES))


def _wrong_state(job: Job) -> Conflict:
    return Conflict("invalid_job_status", "The job awaits no upload in this state.", status=job.state)
