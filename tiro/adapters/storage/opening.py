"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiro.adapters.storage.folder import FolderBlobs
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.adapters.storage.s3 import S3Blobs, S3Options, connect
from tiro.adapters.system import SystemClock
from tiro.model.errors import Invalid
from tiro.ports import Blobs, Clock


def open_blobs(url: str, clock: Clock | None = None, s3: S3Options | None = None) -> Blobs:
    """The store behind `file:///folder`, `s3://bucket/prefix` or `memory://`. Raises Invalid `invalid_setting`."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    match parts.scheme:
        case "file" if path.startswith("/") and parts.netloc in {"", "localhost"}:
            return FolderBlobs(Path(path))
        case "s3" if parts.netloc:
            return S3Blobs(connect(s3 or S3Options()), parts.netloc, path.strip("/"))
        case "memory":
            return MemoryBlobs(clock or SystemClock())
    raise Invalid("invalid_setting", "TIRO_BLOBS must be file:///folder or s3://bucket/prefix.", param="TIRO_BLOBS")
