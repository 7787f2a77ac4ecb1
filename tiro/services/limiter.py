"""Is this too often? Counted for all processes together."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec

from tiro.model.errors import RateLimited
from tiro.ports import Clock, Records
from tiro.services.accounts import digest


class Rate(msgspec.Struct, frozen=True):
    """At most so many within any so long, of what `name` says; only its digest is kept."""

    name: tuple[str, ...]
    at_most: int
    within_s: int


class Limiter:
    """Counts what is asked; what comes too often is refused until the oldest that counts is so long ago."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def count(self, *rates: Rate) -> None:
        """Count one in each, up to the first that is reached. Raises RateLimited with `retry_after_s`."""
        wait: timedelta | None = None
        async with self._records.begin() as tx:
            await tx.limits.may_be_lost()
            for rate in rates:
                name, within = digest("\0".join(rate.name)), timedelta(seconds=rate.within_s)
                wait = await tx.limits.take(name, rate.at_most, within, self._clock.now())
                if wait is not None:
                    break
        if wait is not None:
            wait_s = min(rate.within_s, max(1, math.ceil(wait.total_seconds())))
            raise RateLimited(message="Too many requests; wait.", retry_after_s=wait_s)
