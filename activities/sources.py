"""Where the bytes of a recording lie while it is decoded: in the folder store itself, or in scratch, where they may still come in."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from activities.incoming import Copy, Incoming
from activities.threads import Threads
from tiro.model.blob import source_key
from tiro.model.errors import Transient
from tiro.ports import Blobs

T = TypeVar("T")
Bring = Callable[[Incoming, Path, threading.Event], T]
"""Begins and fills it, with a folder in scratch for what needs one, until the event is set. Blocking."""


class SourceChanged(Transient):
    """It is not as large as it was when its size was looked at: somebody has brought it anew meanwhile."""

    code = "source_changed"


class Sources:
    """Gives recordings as files."""

    def __init__(self, blobs: Blobs, threads: Threads, scratch: Path) -> None:
        self._blobs = blobs
        self._threads = threads
        self._scratch = scratch

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """A folder in scratch, gone at the end; removing gigabytes takes a while, so a thread does it."""
        folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=self._scratch))
        try:
            yield folder
        finally:
            await self._threads.run(partial(shutil.rmtree, folder, ignore_errors=True))

    @contextlib.asynccontextmanager
    async def stored(self, job_id: str) -> AsyncIterator[Path | Incoming]:
        """The source for the length of the block: straight from a folder store, else copied into scratch while it is read."""
        path = await self._threads.run(self._blobs.local_path, source_key(job_id))
        if path is not None:
            yield path
            return

        def copy(incoming: Incoming, folder: Path, stop: threading.Event) -> None:
            key = source_key(job_id)
            found = self._blobs.head(key)
            size_bytes = found.size_bytes if found else 0
            with (
                self._blobs.open(key) as stored,
                contextlib.closing(Copy(incoming, folder / job_id, size_bytes)) as into,
            ):
                _copy(stored, into, size_bytes, stop)

        async with self.arriving(copy) as (incoming, copied):
            yield incoming
            await copied

    @contextlib.asynccontextmanager
    async def arriving(self, bring: Bring[T]) -> AsyncIterator[tuple[Incoming, asyncio.Task[T]]]:
        """A recording that a thread brings, from when it can be read, and what becomes of that; broken off at the end of the block."""
        async with self.folder() as folder:
            incoming = Incoming()
            task = asyncio.create_task(
                self._threads.run_stoppable(lambda stop: incoming.brought(lambda: bring(incoming, folder, stop)))
            )
            try:
                await self._threads.run_stoppable(incoming.await_begin)
                yield incoming, task
            finally:
                task.cancel()
                await asyncio.wait([task])
                incoming.close()
                if not task.cancelled():
                    task.exception()  # it was told to whoever read or awaited it

    def local(self, job_id: str, folder: Path, size_bytes: int | None = None) -> Path:
        """The source as a file: straight from a folder store, else copied once, and no more of it than was seen (None: now). Blocking.

        Raises Permanent `blob_missing`, SourceChanged.
        """
        key = source_key(job_id)
        local = self._blobs.local_path(key)
        if local is not None:
            return local
        if size_bytes is None:
            found = self._blobs.head(key)
            size_bytes = found.size_bytes if found else 0
        copy = folder / job_id
        try:
            with self._blobs.open(key) as stored, copy.open("wb") as outgoing:
                _copy(stored, outgoing, size_bytes, threading.Event())
        except OSError as error:
            raise Transient("scratch_full", "The recording could not be copied.") from error
        return copy


def _copy(stored: BinaryIO, outgoing: Copy | BinaryIO, size_bytes: int, stop: threading.Event) -> None:
    """Scratch has room for what was promised, and for nothing beyond it."""
    left = size_bytes
    while block := stored.read(1 << 20):
        if stop.is_set():
            raise Transient("stopped")
        left -= len(block)
        if left < 0:
            raise SourceChanged
        outgoing.write(block)
    if left:
        raise SourceChanged
