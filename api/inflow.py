"""How do bytes that arrive reach the store? In batches, by a thread: memory is bounded by two of them, whatever is sent."""

from __future__ import annotations

import asyncio

from tiro.model.blob import BlobRef
from tiro.model.errors import TooLarge
from tiro.ports import BlobWriter

BATCH_BYTES = 1 << 20


class Inflow:
    """One object on its way: fills a batch while a thread writes the one before."""

    def __init__(self, writer: BlobWriter, max_bytes: int) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._taken_bytes = 0
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._writing: asyncio.Future[BlobRef] | asyncio.Future[None] | None = None

    @property
    def taken_bytes(self) -> int:
        """How much has come."""
        return self._taken_bytes

    async def take(self, data: bytes) -> None:
        """Raises TooLarge, and what the writer raises."""
        self._taken_bytes += len(data)
        if self._taken_bytes > self._max_bytes:
            raise TooLarge(self._max_bytes)
        self._batch.append(data)
        self._batch_bytes += len(data)
        if self._batch_bytes >= BATCH_BYTES:
            await self._flush()

    async def commit(self) -> BlobRef:
        """All has come."""
        await self._flush()
        await self._written()
        committing = asyncio.ensure_future(asyncio.to_thread(self._writer.commit))
        self._writing = committing
        return await asyncio.shield(committing)

    async def abort(self) -> None:
        """After the thread has let go of the writer."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await asyncio.to_thread(self._writer.abort)

    async def _flush(self) -> None:
        await self._written()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, batch))

    def _write(self, batch: list[bytes]) -> None:
        self._writer.write(b"".join(batch))

    async def _written(self) -> None:
        """Shielded: a batch that a thread has begun is finished, also when the request is given up."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
