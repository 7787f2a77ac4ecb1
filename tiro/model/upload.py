"""How a client brings bytes to the store by itself: in one piece or in parts, and at which addresses."""

from __future__ import annotations

from datetime import timedelta

import msgspec

_MIB = 1 << 20
PUT_BELOW_BYTES = 128 * _MIB
"""Larger ones come in parts."""
LEAST_PART_BYTES = 5 * _MIB
"""What S3 asks of all parts but the last."""
MOST_PARTS = 1000
"""Of what we hand out; a store takes 10,000."""
MOST_BYTES = 10 << 30
"""Of one object, where nobody says less."""
URLS_LIVE = timedelta(hours=1)
WRITTEN_WITHIN = timedelta(hours=2)
"""An address that leads to the store is used behind our back: begun in its last moment, a PUT has another hour to become an object."""


class StoredPart(msgspec.Struct, frozen=True):
    """A part that has come whole. `etag`: what its PUT was answered with, without quotes."""

    size_bytes: int
    etag: str


class PutInstructions(msgspec.Struct, frozen=True):
    """PUT the whole to `url` with exactly these `headers` (others may come along)."""

    key: str
    url: str
    headers: dict[str, str]


class PartAddress(msgspec.Struct, frozen=True):
    """PUT this part here."""

    number: int
    url: str


class PartsInstructions(msgspec.Struct, frozen=True):
    """Part n covers bytes from `(n - 1) * part_bytes` on. `parts`: those that are still to come; `present`: the others."""

    key: str
    upload_id: str
    part_bytes: int
    parts: tuple[PartAddress, ...]
    complete_url: str
    abort_url: str
    present: dict[int, StoredPart] = msgspec.field(default_factory=dict)


Instructions = PutInstructions | PartsInstructions


class Wanted(msgspec.Struct, frozen=True):
    """What is to be brought to `key`. `size_bytes`, `media_type` given: the upload is bound to them. None: not declared."""

    key: str
    size_bytes: int | None = None
    media_type: str | None = None
    at_most_bytes: int = MOST_BYTES

    @property
    def in_parts(self) -> bool:
        """Whether so much comes in parts; what is not declared comes in one piece."""
        return self.size_bytes is not None and self.size_bytes >= PUT_BELOW_BYTES


def part_bytes_of(size_bytes: int) -> int:
    """The size of the parts (but for the last): 5 MiB, and more only so that they are no more than 1,000; in whole MiB."""
    return max(LEAST_PART_BYTES, -(-size_bytes // (MOST_PARTS * _MIB)) * _MIB)


def parts_of(size_bytes: int) -> dict[int, int]:
    """Number -> bytes of each part, from 1."""
    part_bytes = part_bytes_of(size_bytes)
    begins = range(0, size_bytes, part_bytes)
    return {number: min(part_bytes, size_bytes - begin) for number, begin in enumerate(begins, 1)}
