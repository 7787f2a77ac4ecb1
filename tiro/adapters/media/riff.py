"""WAV files that lie: about their length (written by programs that died), or with samples of a size there is not."""

from __future__ import annotations

import string
import struct
from typing import NamedTuple, Protocol

_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_NAME = frozenset(string.ascii_letters.encode() + string.digits.encode() + b" _-")
_PCM = 1
_MAX_CHUNKS = 200


class Bytes(Protocol):
    """What is looked at. Its size is asked for only where it matters: of one that still comes in, it may be long in coming."""

    @property
    def size_bytes(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class Riff(NamedTuple):
    """What the chunks of a WAV say. For any other file both are False."""

    understates: bool
    """What follows the data chunk is no list of chunks, so it must be sound."""
    odd_samples: bool
    """Plain PCM of a sample size that is not whole bytes."""


def look(source: Bytes) -> Riff:
    """Walks the chunks. Leaves the position anywhere."""
    source.seek(0)
    head = source.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return Riff(understates=False, odd_samples=False)
    at, seen_data, odd = len(head), False, False
    for _ in range(_MAX_CHUNKS):
        if at >= source.size_bytes:
            break
        source.seek(at)
        raw = source.read(_CHUNK.size)
        if len(raw) < _CHUNK.size:
            break
        name, length = _CHUNK.unpack(raw)
        if seen_data and not _NAME.issuperset(name):
            return Riff(understates=True, odd_samples=odd)
        seen_data = seen_data or name == b"data"
        odd = odd or (name == b"fmt " and _odd(source.read(_FORMAT.size)))
        at += _CHUNK.size + length + length % 2
    return Riff(understates=False, odd_samples=odd)


def _odd(format_chunk: bytes) -> bool:
    if len(format_chunk) < _FORMAT.size:
        return False
    form, _, _, _, _, bits = _FORMAT.unpack(format_chunk)
    return bool(form == _PCM and bits % 8)
