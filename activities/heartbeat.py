"""How a long activity shows that it lives, and thereby hears that it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

BEAT_S = 1.0


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Beat every second while the block runs. Carries no details: progress that matters lies in the record."""
    task = asyncio.create_task(_beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(BEAT_S)
