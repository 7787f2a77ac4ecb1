"""WAV files whose length field says less than there is: written by programs that died, or by liars."""

from __future__ import annotations

import string
import struct
from typing import BinaryIO

_CHUNK = struct.Struct("<4sI")
_NAME = frozenset(string.ascii_letters.encode() + string.digits.encode() + b" _-")
_MAX_CHUNKS = 200


def understates(source: BinaryIO, size_bytes: int) -> bool:
    """Whether what follows the data chunk is no list of chunks, so that it must be sound. Leaves the position where it likes."""
    source.seek(0)
    head = source.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    at, seen_data = 12, False
    for _ in range(_MAX_CHUNKS):
        source.seek(at)
        raw = source.read(_CHUNK.size)
        if len(raw) < _CHUNK.size:
            return False
        name, length = _CHUNK.unpack(raw)
        if seen_data and not _NAME.issuperset(name):
            return True
        seen_data = seen_data or name == b"data"
        at += _CHUNK.size + length + length % 2
        if at >= size_bytes:
            return False
    return False
