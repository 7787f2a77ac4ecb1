"""The blob store in memory: for tests and for trying things out. Everything is gone with the process."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from tiro.adapters.storage.keys import checked_key, checked_prefix, missing
from tiro.model.blob import BlobInfo, BlobRef
from tiro.model.errors import Transient
from tiro.ports import BlobWriter, Clock


class _Object(msgspec.Struct, frozen=True):
    data: bytes
    modified_at: datetime


class MemoryBlobs:
    """Keeps the promises of a store, but for outliving its process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._objects: dict[str, _Object] = {}
        self._open: dict[int, tuple[str, datetime]] = {}
        self._next = 0

    def writer(self, key: str, media_type: str = "application/octet-stream") -> MemoryWriter:
        """Begin an object."""
        with self._lock:
            self._next += 1
            self._open[self._next] = (checked_key(key), self._clock.now())
            return MemoryWriter(self, self._next, key, media_type)

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """A small object at once."""
        with self._lock:
            self._objects[checked_key(key)] = _Object(bytes(data), self._clock.now())
        return BlobRef(key, len(data), hashlib.sha256(data).hexdigest(), media_type)

    def put_if_absent(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> bool:
        """Write unless the key exists."""
        with self._lock:
            if checked_key(key) in self._objects:
                return False
            self.put(key, data, media_type)
            return True

    def get(self, key: str) -> bytes:
        """The whole object."""
        with self._lock:
            found = self._objects.get(checked_key(key))
        if found is None:
            raise missing()
        return found.data

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream of bytes [start, end)."""
        return io.BytesIO(self.get(key)[start:end])

    def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None."""
        with self._lock:
            found = self._objects.get(checked_key(key))
        return None if found is None else BlobInfo(key, len(found.data), found.modified_at)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Objects whose key begins with `prefix`, in key order."""
        checked_prefix(prefix)
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))
        for key in keys:
            info = self.head(key)
            if info is not None:
                yield info

    def delete(self, key: str) -> None:
        """Remove the object."""
        with self._lock:
            self._objects.pop(checked_key(key), None)

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object and every unfinished one below `prefix`; how many objects were removed."""
        checked_prefix(prefix)
        with self._lock:
            self._open = {number: begun for number, begun in self._open.items() if not begun[0].startswith(prefix)}
            gone = [key for key in self._objects if key.startswith(prefix)]
            for key in gone:
                del self._objects[key]
        return len(gone)

    def abort_stale(self, older_than: datetime, spared: Callable[[str], bool] | None = None) -> int:
        """Remove unfinished objects that were begun before that moment."""
        with self._lock:
            old = [(number, key) for number, (key, begun_at) in self._open.items() if begun_at < older_than]
            stale = [number for number, key in old if spared is None or not spared(key)]
            for number in stale:
                del self._open[number]
        return len(stale)

    def local_path(self, key: str) -> Path | None:
        """Nothing lies in a file."""
        checked_key(key)
        return None

    def begun_path(self, writer: BlobWriter) -> Path | None:
        """Nor does what is on its way."""
        return None

    def check(self) -> tuple[str, ...]:
        """Nothing can be wrong with it, but that it forgets."""
        return ("store_forgets",)

    def finish(self, number: int, key: str, data: bytes, media_type: str) -> BlobRef:
        """For the writer: make its object visible, if nobody removed it meanwhile."""
        with self._lock:
            if self._open.pop(number, None) is None:
                raise Transient("store_unavailable", "The object was removed while it was being written.")
            return self.put(key, data, media_type)

    def forget(self, number: int) -> None:
        """For the writer: it is given up."""
        with self._lock:
            self._open.pop(number, None)


class MemoryWriter:
    """An object on its way into memory."""

    def __init__(self, store: MemoryBlobs, number: int, key: str, media_type: str) -> None:
        self._store = store
        self._number = number
        self._key = key
        self._media_type = media_type
        self._data = bytearray()

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return len(self._data)

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes."""
        self._data += data

    def commit(self) -> BlobRef:
        """Make the object visible."""
        return self._store.finish(self._number, self._key, bytes(self._data), self._media_type)

    def abort(self) -> None:
        """Forget the bytes."""
        self._store.forget(self._number)
