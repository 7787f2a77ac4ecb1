"""What does Ctrl-C mean? Once: leave, the server goes on; twice: cancel there, too; a third time: out, at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from types import TracebackType
from typing import Self

INTERRUPTED = 130
GRACE_S = 5.0
"""So long a second Ctrl-C is waited for."""


class Leaving:
    """Use as a context manager, in the loop's thread. SIGTERM leaves without waiting for anything."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._again = asyncio.Event()
        self._waits = True

    def __enter__(self) -> Self:
        """From here on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._pressed)
        loop.add_signal_handler(signal.SIGTERM, self._told)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """As it was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    async def cancels(self) -> bool:
        """Whether it is asked for a second time, soon."""
        if self._waits:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), GRACE_S)
        return self._again.is_set()

    def _pressed(self) -> None:
        if self._again.is_set():
            os._exit(INTERRUPTED)
        (self._again if self.asked.is_set() else self.asked).set()

    def _told(self) -> None:
        self._waits = False
        self.asked.set()
