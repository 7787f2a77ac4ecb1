"""How long may this still take? A deadline for the whole, and an event that ends it at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tiro.model.errors import Transient

SLICE_S = 0.1
"""The longest wait in which neither is looked at."""


class Patience:
    """Ends when `stop` is set or `deadline_s` seconds after it was made."""

    def __init__(self, deadline_s: float, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._ends_at = time.monotonic() + deadline_s

    def check(self) -> None:
        """Raises Transient `stopped`, or Transient `source_timeout` when the deadline has passed; what was waited for is not its cause."""
        if self._stop.is_set():
            raise Transient("stopped", "The result is no longer wanted.") from None
        if time.monotonic() >= self._ends_at:
            raise Transient("source_timeout", "The address took too long.") from None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A step that may take no longer than this."""
        ends_at = self._ends_at
        self._ends_at = min(ends_at, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._ends_at = ends_at

    def pause(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for an event for at most `timeout_s`; whether it came. Raises as `check`."""
        until = time.monotonic() + timeout_s
        while not event.is_set():
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                return False
            event.wait(min(SLICE_S, left))
        return True
