"""How does a large file reach the disk? Past the page cache: what is written once and read later need not push out what others read."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os

_BUFFER_BYTES = 256 << 10
_LARGE_BYTES = 32 << 20
"""From here on; what is smaller is soon read, out of memory."""
_PIECE_BYTES = 1 << 20
_BLOCK_BYTES = 4096
"""Whole blocks of any file system that we know, from memory and to places that are multiples of it."""


class LargeFile:
    """A new file that is written from its beginning to its end. Where the file system knows no way past the cache, it goes through it."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffered = os.fdopen(handle, "wb", _BUFFER_BYTES)
        self._size_bytes = 0
        self._through = False
        """For good: the cache is not to be passed by (any more)."""
        self._piece: mmap.mmap | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Takes all of it. Raises OSError."""
        rest = memoryview(data)
        if self._piece is None and not self._through and self._size_bytes >= _LARGE_BYTES:
            rest = self._begin(rest)
        self._size_bytes += len(rest)
        while rest and self._piece is not None:
            taken = rest[: _PIECE_BYTES - self._piece.tell()]
            self._piece.write(taken)
            rest = rest[len(taken) :]
            if self._piece.tell() == _PIECE_BYTES:
                self._put(self._piece)
        if rest:
            self._buffered.write(rest)

    def flush(self) -> None:
        """All of it can be read. From here on everything goes through the cache: somebody reads what is still being written."""
        self._buffered.flush()
        self._end_direct()

    def fileno(self) -> int:
        """For `fsync`, after `flush`."""
        return self._handle

    def close(self) -> None:
        """What was not flushed may be lost."""
        self._piece = None
        self._buffered.close()

    def _begin(self, data: memoryview) -> memoryview:
        """What of `data` lies behind the block that it completes, if the cache can be passed by from there on; else all."""
        missing = -self._size_bytes % _BLOCK_BYTES
        if len(data) < missing:
            return data
        self._buffered.write(data[:missing])
        self._buffered.flush()
        self._size_bytes += missing
        try:
            self._set_direct(wanted=True)
        except OSError:
            self._through = True
        else:
            # memory that begins with a page, as the way past the cache wants it
            self._piece = mmap.mmap(-1, _PIECE_BYTES)
        return data[missing:]

    def _put(self, piece: mmap.mmap) -> None:
        try:
            written = os.write(self._handle, piece)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # it was promised, and is not kept
            written = 0
        if written == _PIECE_BYTES:
            piece.seek(0)
        else:
            self._end_direct(written)

    def _end_direct(self, written: int = 0) -> None:
        """The rest of the piece, and all that follows, through the cache."""
        self._through = True
        if self._piece is not None:
            piece, self._piece = self._piece, None
            self._set_direct(wanted=False)
            self._buffered.write(piece[written : piece.tell()])
            self._buffered.flush()

    def _set_direct(self, *, wanted: bool) -> None:
        flags = fcntl.fcntl(self._handle, fcntl.F_GETFL)
        fcntl.fcntl(self._handle, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT)
