"""Is this too often? Moving windows that all processes share."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec

from tiro.model.errors import RateLimited
from tiro.ports import Clock, Records
from tiro.services.accounts import digest


class Window(msgspec.Struct, frozen=True):
    """At most so many within so long, by whatever `name` says; only its digest is kept."""

    name: tuple[str, ...]
    at_most: int
    within_s: int


class Limiter:
    """Counts what is asked; what comes too often is refused until its window has moved on."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def count(self, *windows: Window) -> None:
        """Count one in each, up to the first that is full. Raises RateLimited with `retry_after_s`."""
        wait: timedelta | None = None
        async with self._records.begin() as tx:
            for window in windows:
                name, within = digest("\0".join(window.name)), timedelta(seconds=window.within_s)
                wait = await tx.limits.take(name, window.at_most, within, self._clock.now())
                if wait is not None:
                    break
        if wait is not None:
            wait_s = min(window.within_s, max(1, math.ceil(wait.total_seconds())))
            raise RateLimited(message="Too many requests; wait.", retry_after_s=wait_s)
