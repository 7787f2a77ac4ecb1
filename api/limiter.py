"""Is this too often? Moving windows of a minute, counted in this process."""

from __future__ import annotations

import math

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from tiro.model.errors import RateLimited
from tiro.ports import Clock


class Limiter:
    """Counts what is asked under names; a name that comes too often is refused until its window has moved on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    async def count(self, per_minute: int, *name: str) -> None:
        """Count one. Raises RateLimited with `retry_after_s`."""
        item = RateLimitItemPerMinute(per_minute)
        if await self._windows.hit(item, *name):
            return
        stats = await self._windows.get_window_stats(item, *name)
        wait_s = math.ceil(stats.reset_time - self._clock.now().timestamp())
        raise RateLimited(message="Too many requests; wait.", retry_after_s=min(60, max(1, wait_s)))
