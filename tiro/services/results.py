"""What stands behind a result's address: the document that was composed, or the one that is made of the transcript now."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import BinaryIO

import msgspec

from tiro.model.blob import document_key, transcript_key
from tiro.model.errors import NotFound, Permanent
from tiro.model.job import Job
from tiro.model.transcript import StoredTranscript
from tiro.ports import Blobs, Clock, Records
from tiro.render.documents import DOCUMENTS

AT_HAND_FOR = timedelta(minutes=1)
"""A document of hours takes seconds to make, and whoever fetches it in ranges asks for it again and again."""
AT_HAND = 4


class Result(msgspec.Struct, frozen=True):
    """`open`: a stream of bytes [start, end); blocking. `etag` names these bytes among all that were behind this address."""

    name: str
    media_type: str
    size_bytes: int
    etag: str
    open: Callable[[int, int], BinaryIO]


class Results:
    """Results of completed jobs, for whoever has the link. One document is made at a time: it is work for the whole process."""

    def __init__(self, records: Records, blobs: Blobs, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._clock = clock
        self._making = asyncio.Lock()
        self._at_hand: OrderedDict[str, tuple[datetime, Result]] = OrderedDict()
        """By etag, oldest first."""

    async def find(self, job_id: str) -> Result:
        """Raises NotFound when the job is gone, has expired, or has no result."""
        async with self._records.look() as tx:
            job = await tx.jobs.get(job_id)
        if job is None or job.state != "completed" or job.dialect not in DOCUMENTS:
            raise _nothing()
        if not job.is_kept(self._clock.now()):
            raise _nothing()
        try:
            return await (asyncio.to_thread(self._stored, job) if job.is_batch else self._made_once(job))
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

    async def _made_once(self, job: Job) -> Result:
        async with self._making:
            while self._at_hand and next(iter(self._at_hand.values()))[0] + AT_HAND_FOR <= self._clock.now():
                self._at_hand.popitem(last=False)
            if _etag(job) not in self._at_hand:
                self._at_hand[_etag(job)] = self._clock.now(), await asyncio.to_thread(self._made, job)
            result = self._at_hand[_etag(job)][1]
            if len(self._at_hand) > AT_HAND:
                self._at_hand.popitem(last=False)
            return result

    def _made(self, job: Job) -> Result:
        heard = StoredTranscript.read(self._blobs.get(transcript_key(job.job_id)))
        body = DOCUMENTS[job.dialect].single(job, heard)
        return _result(job, len(body), lambda start, end: io.BytesIO(body[start:end]))


def _result(job: Job, size_bytes: int, opened: Callable[[int, int], BinaryIO]) -> Result:
    return Result(
        name=f"{job.job_id}.json",
        media_type=DOCUMENTS[job.dialect].media_type,
        size_bytes=size_bytes,
        etag=_etag(job),
        open=opened,
    )


def _etag(job: Job) -> str:
    return f"{job.job_id}-{job.run}"


def _nothing() -> NotFound:
    return NotFound("not_found", "There is no such result (any more).")
