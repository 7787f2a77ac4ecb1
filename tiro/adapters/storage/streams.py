"""How a part of an object is read: a raw stream that ends where it was told to."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

_BUFFER_BYTES = 256 * 1024


class Slice(io.RawIOBase):
    """At most `size_bytes` bytes (None: all) from where `source` stands. Closing it closes the source."""

    def __init__(self, source: BinaryIO, size_bytes: int | None) -> None:
        self._source = source
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer protocol has no name before 3.12
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._source.read(wanted) if wanted else b""
        buffer[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class Pulled(io.RawIOBase):
    """Bytes pulled by `read(n)` from somewhere that may fail; `close` is called once."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self._read = read
        self._close = close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer protocol has no name before 3.12
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """A file-like object over a raw stream."""
    return io.BufferedReader(raw, _BUFFER_BYTES)
