"""Which store, and which desk beside it, an address means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from tiro.adapters.storage.desk_folder import FolderDesk
from tiro.adapters.storage.desk_s3 import S3Desk
from tiro.adapters.storage.folder import FolderBlobs
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.adapters.storage.s3 import S3Blobs, S3Options, connect
from tiro.adapters.system import SystemClock
from tiro.model.errors import Invalid
from tiro.ports import Blobs, Clock
from tiro.sign import Passes


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


def open_desk(
    url: str, blobs: Blobs, passes: Passes, clock: Clock, s3: S3Options | None = None, public: str | None = None
) -> FolderDesk | S3Desk:
    """The desk of that store; only an S3 server takes bytes by itself. `public`: its endpoint as clients reach it, if another."""
    parts = urlsplit(url)
    if parts.scheme != "s3":
        return FolderDesk(blobs, passes)
    inside = s3 or S3Options()
    outside = inside if public is None else msgspec.structs.replace(inside, endpoint=public)
    return S3Desk(connect(inside), connect(outside), parts.netloc, unquote(parts.path), clock)
