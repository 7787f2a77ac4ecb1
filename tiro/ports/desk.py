"""Where clients bring bytes by themselves: addresses that are their own proof, for a whole object or for its parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from tiro.model.upload import StoredPart
from tiro.ports.content import BlobWriter


class PutAddress(msgspec.Struct, frozen=True):
    """PUT the bytes here with exactly these headers (others may come along)."""

    url: str
    headers: dict[str, str]


class UploadDesk(Protocol):
    """One per store. Keys are ours. Blocking. Raises Transient `store_unavailable`, `store_full`."""

    def put(
        self, key: str, *, size_bytes: int | None, media_type: str | None, at_most_bytes: int, until: datetime
    ) -> PutAddress:
        """Bound to the size and the type that are given, and to no others. `at_most_bytes`: kept where the bytes come through us."""
        ...

    def begin(self, key: str) -> str:
        """Open an upload in parts; its id. An object appears only when it is completed."""
        ...

    def part(self, key: str, upload_id: str, number: int, *, at_most_bytes: int, until: datetime) -> str:
        """PUT part `number` (from 1) here; the answer's ETag names what came. The same part again replaces it."""
        ...

    def present(self, key: str, upload_id: str) -> dict[int, StoredPart]:
        """Parts that have come whole. Permanent `upload_missing` when no such upload is open."""
        ...

    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> None:
        """Put these parts together, in order. Again, after it was done: done.

        Raises Permanent `upload_missing`, Invalid `invalid_upload` for parts that are not there or are others.
        """
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Forget the parts. Harmless when repeated, and after it was completed."""
        ...


class PartWriter(BlobWriter, Protocol):
    """A part on its way in. `commit` replaces what came under its number before this one began."""

    @property
    def etag(self) -> str:
        """What will name it."""
        ...


class PartsDesk(UploadDesk, Protocol):
    """A desk whose addresses lead to our own face, since its store has none."""

    def part_writer(self, key: str, upload_id: str, number: int) -> PartWriter:
        """Begin a part. Raises Permanent `upload_missing` when no such upload is open, here or at `commit`."""
        ...
