"""What stands behind a result's address: the document that was composed, or the one that is made of the transcript now."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from tiro.model.blob import document_key, transcript_key
from tiro.model.errors import NotFound, Permanent
from tiro.model.job import Job
from tiro.model.transcript import Transcript
from tiro.ports import Blobs, Clock, Records
from tiro.render.documents import DOCUMENTS


class Result(msgspec.Struct, frozen=True):
    """`open`: a stream of bytes [start, end); blocking. `etag` names these bytes among all that were behind this address."""

    name: str
    media_type: str
    size_bytes: int
    etag: str
    open: Callable[[int, int], BinaryIO]


class Results:
    """Results of completed jobs, for whoever has the link."""

    def __init__(self, records: Records, blobs: Blobs, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._clock = clock

    async def find(self, job_id: str) -> Result:
        """Raises NotFound when the job is gone, has expired, or has no result."""
        async with self._records.begin() as tx:
            job = await tx.jobs.get(job_id)
        if job is None or job.deleted_at is not None or job.state != "completed" or job.dialect not in DOCUMENTS:
            raise _nothing()
        if job.expires_at is not None and job.expires_at <= self._clock.now():
            raise _nothing()
        try:
            return await asyncio.to_thread(self._stored if job.is_batch else self._made, job)
        except Permanent as gone:
            if gone.code != "blob_missing":
                raise
            raise _nothing() from None

    def _stored(self, job: Job) -> Result:
        key = document_key(job.job_id)
        info = self._blobs.head(key)
        if info is None:
            raise _nothing()
        return _result(job, info.size_bytes, lambda start, end: self._blobs.open(key, start, end))

    def _made(self, job: Job) -> Result:
        heard = msgspec.json.decode(self._blobs.get(transcript_key(job.job_id)), type=Transcript)
        body = DOCUMENTS[job.dialect].single(job, heard)
        return _result(job, len(body), lambda start, end: io.BytesIO(body[start:end]))


def _result(job: Job, size_bytes: int, opened: Callable[[int, int], BinaryIO]) -> Result:
    return Result(
        name=f"{job.job_id}.json",
        media_type=DOCUMENTS[job.dialect].media_type,
        size_bytes=size_bytes,
        etag=f"{job.job_id}-{job.run}",
        open=opened,
    )


def _nothing() -> NotFound:
    return NotFound("not_found", "There is no such result (any more).")
