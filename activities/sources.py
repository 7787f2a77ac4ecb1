"""Where the bytes of a recording lie while it is decoded: in the folder store itself, or copied into scratch."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from activities.threads import Threads
from tiro.model.blob import source_key
from tiro.model.errors import Transient
from tiro.ports import Blobs


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

    def local(self, job_id: str, folder: Path) -> Path:
        """The source as a file: straight from a folder store, else copied once. Blocking. Raises Permanent `blob_missing`."""
        key = source_key(job_id)
        local = self._blobs.local_path(key)
        if local is not None:
            return local
        copy = folder / job_id
        try:
            with self._blobs.open(key) as incoming, copy.open("wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
        except OSError as error:
            raise Transient("scratch_full", "The recording could not be copied.") from error
        return copy
