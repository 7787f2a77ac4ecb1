"""Do the records agree with the store? Two sorted streams are read beside each other: jobs by id, and objects by key.

A stream that is sorted otherwise (a database with other ideas of an alphabet) makes more suspects, never fewer; the second look asks
for each of them by name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from tiro.model.audit import Finding, JobLine
from tiro.model.blob import CONTENT, MEDIA, BlobInfo, document_key, job_prefix, transcript_key
from tiro.model.errors import Permanent
from tiro.ports import Blobs, Clock, Records

SWEPT_WITHIN = timedelta(minutes=30)
"""The sweep runs every ten minutes, and looks again ten minutes later for what was still being written."""
_JOBS = "jobs/"
_PAGE = 1000
_MEDIA = frozenset(name.rstrip("/") for name in MEDIA)
_CONTENT = frozenset(name.rstrip("/") for name in CONTENT)


class Stored(msgspec.Struct):
    """What lies below the prefix of one job: how many objects, their first names, and whether the result is among them."""

    job_id: str
    objects: int = 0
    names: set[str] = msgspec.field(default_factory=set)
    transcript: bool = False
    document: bool = False

    def take(self, key: str) -> None:
        """One more."""
        self.objects += 1
        self.names.add(key.removeprefix(job_prefix(self.job_id)).partition("/")[0])
        self.transcript |= key == transcript_key(self.job_id)
        self.document |= key == document_key(self.job_id)


class StoreAudit:
    """Neither stream is ever held as a whole."""

    def __init__(self, records: Records, blobs: Blobs, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._clock = clock

    async def look(self, only: Collection[str] | None, compared: Counter[str]) -> list[Finding]:
        """Everything, or these jobs by name. Raises Transient."""
        if only is not None:
            return [one for job_id in sorted(only) for one in await self._look_at(job_id)]
        found: list[Finding] = []
        strangers: list[Stored] = []
        async for line, stored in paired(self._known(), self._stored(compared)):
            if line is not None:
                found += judged(line, stored, self._clock.now())
            elif stored is not None:
                strangers.append(stored)
            if len(strangers) == _PAGE:
                found += await self._unknown(strangers)
                strangers = []
        return [*found, *await self._unknown(strangers)]

    async def _look_at(self, job_id: str) -> list[Finding]:
        async with self._records.begin() as tx:
            line = (await tx.books.lines_of([job_id])).get(job_id)
        stored = await asyncio.to_thread(self._below, job_id)
        if line is not None:
            return judged(line, stored, self._clock.now())
        return [] if stored is None else await self._unknown([stored])

    def _below(self, job_id: str) -> Stored | None:
        try:
            infos = self._blobs.list(f"{_JOBS}{job_id}")
            return next((stored for stored in _grouped(infos) if stored.job_id == job_id), None)
        except Permanent:
            # a name that we never give, and that nobody can list: it was there a moment ago
            return Stored(job_id, objects=1)

    async def _unknown(self, strangers: list[Stored]) -> list[Finding]:
        """Of jobs that are not in the records: bytes that are still coming in are somebody's."""
        ids = [one.job_id for one in strangers]
        async with self._records.begin() as tx:
            theirs = await tx.books.uploads(ids) | (await tx.books.lines_of(ids)).keys()
        return [
            Finding("object_unknown", one.job_id, f"{one.objects} objects", "a job, or an upload that is open")
            for one in strangers
            if one.job_id not in theirs
        ]

    async def _known(self) -> AsyncGenerator[JobLine]:
        after = ""
        while True:
            async with self._records.begin() as tx:
                page = await tx.books.lines(after, _PAGE)
            for line in page:
                yield line
            if len(page) < _PAGE:
                return
            after = page[-1].job_id

    async def _stored(self, compared: Counter[str]) -> AsyncGenerator[Stored]:
        groups = _grouped(self._counted(compared))
        while some := await asyncio.to_thread(lambda: list(islice(groups, _PAGE))):
            for one in some:
                yield one

    def _counted(self, compared: Counter[str]) -> Iterator[BlobInfo]:
        for info in self._blobs.list(_JOBS):
            compared["objects"] += 1
            yield info


def judged(line: JobLine, stored: Stored | None, now: datetime) -> list[Finding]:
    """What of a job is there although it should be gone, or not there although it should be."""
    there = stored or Stored(line.job_id)
    if line.deleted_at is not None:
        swept = line.swept_at is not None or line.deleted_at < now - SWEPT_WITHIN
        return [_left(line, f"deleted, {there.objects} objects")] if swept and there.objects else []
    found: list[Finding] = []
    expired = line.expires_at is not None and line.expires_at <= now
    if line.state == "completed" and not expired:
        has, what = (there.document, "document") if line.files_total is not None else (there.transcript, "transcript")
        if not has:
            found.append(Finding("result_missing", line.job_id, "completed", f"a {what}"))
    if line.source_deleted_at is not None and there.names & _MEDIA:
        found.append(_left(line, f"source deleted, {_words(there.names & _MEDIA)}"))
    elif line.state == "cancelled" and there.names & _CONTENT and line.changed_at < now - SWEPT_WITHIN:
        found.append(_left(line, f"cancelled, {_words(there.names & _CONTENT)}"))
    return found


async def paired(
    lines: AsyncIterator[JobLine], stored: AsyncIterator[Stored]
) -> AsyncIterator[tuple[JobLine | None, Stored | None]]:
    """Those of one id together, others alone."""
    line, there = await anext(lines, None), await anext(stored, None)
    while line is not None or there is not None:
        if there is None or (line is not None and line.job_id < there.job_id):
            yield line, None
            line = await anext(lines, None)
        elif line is None or there.job_id < line.job_id:
            yield None, there
            there = await anext(stored, None)
        else:
            yield line, there
            line, there = await anext(lines, None), await anext(stored, None)


def _grouped(infos: Iterator[BlobInfo]) -> Iterator[Stored]:
    """Objects come in the order of their keys, and so those of one job together."""
    group: Stored | None = None
    for info in infos:
        job_id = info.key.split("/")[1]
        if group is None or group.job_id != job_id:
            if group is not None:
                yield group
            group = Stored(job_id)
        group.take(info.key)
    if group is not None:
        yield group


def _left(line: JobLine, there: str) -> Finding:
    return Finding("content_left", line.job_id, there, "nothing of it")


def _words(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
