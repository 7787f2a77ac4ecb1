"""How do recordings come to the server? Page by page, some beside each other; what has come is remembered, and not brought again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import UNSET

from api.dialects.transcribe.jobs_wire import FileUpload, Upload
from commands.batch.client import BatchClient, Refused, slice_of
from commands.batch.journal import Brought, Handover, Journal, Result
from commands.batch.manifest import Entry

_AT_ONCE = 4
_PAGE_FILES = 100
_PAGE_BYTES = 2 * 1024**3
"""Upload addresses last an hour: no more are asked for than can be used in it."""


class Uploads:
    """Those of one handover. `brought`: called with the bytes of each file that has come."""

    def __init__(
        self, client: BatchClient, journal: Journal, handover: Handover, brought: Callable[[int], None]
    ) -> None:
        self._client = client
        self._journal = journal
        self._handover = handover
        self._brought = brought
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self, entries: Sequence[Entry]) -> None:
        """Those that have not come yet. One that cannot be read is noted as failed. Raises Refused."""
        missing = [entry for entry in entries if entry.file and entry.reference not in self._handover.brought]
        for page in _pages(missing):
            await self._page({entry.reference: entry for entry in page})

    async def _page(self, page: Mapping[str, Entry]) -> None:
        assert self._handover.job_id is not None
        uploads = await self._client.upload_urls(self._handover.job_id, list(page))
        try:
            async with asyncio.TaskGroup() as group:
                for upload in uploads:
                    if (entry := page.get(upload.reference_id)) is not None:
                        group.create_task(self._one(entry, upload))
        except ExceptionGroup as many:
            raise many.exceptions[0] from None

    async def _one(self, entry: Entry, upload: FileUpload) -> None:
        assert entry.file is not None
        async with self._slots:
            try:
                await self._bring(entry, entry.file, upload.upload)
            except OSError as wrong:
                why = f"It could not be read: {wrong.strerror}."
                self._failed(entry, "file_unreadable", why)
            except Refused as refused:
                if refused.status is None or refused.status >= 500:
                    raise
                self._failed(entry, "upload_refused", str(refused))
            else:
                self._journal.add(Brought(self._handover.ask, entry.reference))
                self._brought(entry.size_bytes)

    def _failed(self, entry: Entry, code: str, message: str) -> None:
        self._journal.add(Result(self._handover.ask, entry.reference, "failed", code=code, message=message))

    async def _bring(self, entry: Entry, file: Path, upload: Upload) -> None:
        if upload.type != "multipart":
            headers = upload.headers or {}
            size = entry.size_bytes
            await self._client.put(str(upload.url), headers, size, partial(slice_of, file, 0, size))
            return
        await self._in_parts(entry, file, upload)

    async def _in_parts(self, entry: Entry, file: Path, upload: Upload) -> None:
        """One after the other, then put together by what each answer called it."""
        assert upload.part_size is not UNSET
        assert upload.parts is not UNSET
        etags = {}
        for part in upload.parts:
            start = (part.part_number - 1) * upload.part_size
            size = min(upload.part_size, entry.size_bytes - start)
            piece = partial(slice_of, file, start, size)
            etags[part.part_number] = await self._client.put(part.url, {}, size, piece)
        await self._client.assemble(str(upload.complete_url), etags)


def _pages(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    page: list[Entry] = []
    for entry in entries:
        page.append(entry)
        if len(page) == _PAGE_FILES or sum(one.size_bytes for one in page) > _PAGE_BYTES:
            yield page
            page = []
    if page:
        yield page
