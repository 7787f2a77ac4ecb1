"""The store of all content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from tiro.model.blob import BlobInfo, BlobRef


class BlobWriter(Protocol):
    """An object on its way in. Nothing is visible before `commit`; `abort` (or a dead process) leaves no object."""

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes. Raises Transient `store_unavailable` or `store_full`."""
        ...

    def commit(self) -> BlobRef:
        """Make the object visible, durably, replacing one of the same key."""
        ...

    def abort(self) -> None:
        """Forget the bytes. Harmless after `commit` and when repeated."""
        ...


class Blobs(Protocol):
    """The store of all content. Keys are ours, slash-separated, never a user's words. Blocking."""

    def writer(self, key: str, media_type: str = "application/octet-stream") -> BlobWriter:
        """Begin an object."""
        ...

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """A small object at once, replacing one of the same key."""
        ...

    def put_if_absent(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> bool:
        """Write unless the key exists; True when these bytes were written."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object; Permanent `blob_missing` when there is none."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream of bytes [start, end); Permanent `blob_missing` when there is none."""
        ...

    def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None."""
        ...

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Objects whose key begins with `prefix`, in key order."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below `prefix`, and open uploads there; how many were removed."""
        ...

    def abort_stale(self, older_than: datetime, spared: Callable[[str], bool] | None = None) -> int:
        """Remove unfinished objects begun before that moment, but for keys that are `spared`; how many."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the object lies as a readable file, when the store is a folder; else None."""
        ...

    def begun_path(self, writer: BlobWriter) -> Path | None:
        """A file in which all that this writer has taken so far can be read, when the store is a folder; else None."""
        ...

    def check(self) -> tuple[str, ...]:
        """Write, read and remove a small object; codes of what an operator should know (`bucket_keeps_versions`, `store_forgets`).

        Raises Permanent `bucket_missing`, Transient `store_unavailable` or `store_full`.
        """
        ...
