"""Where the bytes of a recording lie while it is decoded: in the folder store itself, or copied into scratch."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from activities.threads import Threads
from tiro.model.blob import source_key
from tiro.model.errors import Transient
from tiro.ports import Blobs


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
            with self._blobs.open(key) as incoming, copy.open("wb") as outgoing:
                _copy(incoming, outgoing, size_bytes)
        except OSError as error:
            raise Transient("scratch_full", "The recording could not be copied.") from error
        return copy


def _copy(incoming: BinaryIO, outgoing: BinaryIO, size_bytes: int) -> None:
    """Scratch has room for what was promised, and for nothing beyond it."""
    left = size_bytes
    while block := incoming.read(1 << 20):
        left -= len(block)
        if left < 0:
            raise SourceChanged
        outgoing.write(block)
    if left:
        raise SourceChanged
