"""Where clients bring bytes by themselves: addresses that are their own proof, for a whole object or for its parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from tiro.model.blob import BlobRef


class PutAddress(msgspec.Struct, frozen=True):
    """PUT the bytes here with exactly these headers (others may come along)."""

    url: str
    headers: dict[str, str]


class UploadDesk(Protocol):
    """One per store. Keys are ours. Blocking. Raises Transient `store_unavailable`, `store_full`."""

    def put(self, key: str, *, size_bytes: int | None, media_type: str | None, until: datetime) -> PutAddress:
        """Bound to the size and the type that are given, and to nothing else."""
        ...

    def begin(self, key: str) -> str:
        """Open an upload in parts; its id. An object appears only when it is completed."""
        ...

    def part(self, key: str, upload_id: str, number: int, until: datetime) -> str:
        """PUT part `number` (from 1) here; the answer's ETag names what came. The same part again replaces it."""
        ...

    def present(self, key: str, upload_id: str) -> dict[int, int]:
        """Parts that have come whole: number -> bytes. Permanent `upload_missing` when no such upload is open."""
        ...

    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> BlobRef | None:
        """Put the parts together, in order. Again after it was done: done. None: the store keeps no checksum of the whole.

        Raises Permanent `upload_missing`, Invalid `invalid_upload` for parts that are not there or are others.
        """
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Forget the parts. Harmless when repeated, and after it was completed."""
        ...
