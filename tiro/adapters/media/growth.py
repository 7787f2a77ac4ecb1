"""(child) How much of a recording that still comes in is there already? A pipe tells, and is closed when all of it is."""

from __future__ import annotations

import os

NUMBER_BYTES = 8
"""A message: how many bytes from the beginning are there, little endian."""
_MESSAGES_BYTES = NUMBER_BYTES * 4096


class Growth:
    """Waits without looking again and again: a read from the pipe blocks until there is news. `size_bytes`: of the whole, if known."""

    def __init__(self, descriptor: int, size_bytes: int | None) -> None:
        self._descriptor = descriptor
        self._there_bytes = 0
        self._whole = False
        self.size_bytes = size_bytes

    def reach(self, end: int | None) -> None:
        """Comes back when so many bytes are there, or all of them (None: all)."""
        if end is not None and self.size_bytes is not None:
            end = min(end, self.size_bytes)
        while not self._whole and (end is None or self._there_bytes < end):
            told = os.read(self._descriptor, _MESSAGES_BYTES)
            self._whole = not told
            self._there_bytes = int.from_bytes(told[-NUMBER_BYTES:], "little")
