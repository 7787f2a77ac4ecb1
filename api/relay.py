"""Who starts what was ordered? One loop per API process, woken by commits: the only loop beside Temporal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from tiro.model.errors import TiroError
from tiro.services.dispatch import Dispatch
from tiro.services.house import Bell

_LOG = logging.getLogger(__name__)
EVERY_S = 5.0
REST_S = 0.1
"""Between two passes in a rush: what comes meanwhile is admitted together, and a pass for each would keep the loop from answering."""


class Relay:
    """Carries out orders until it is cancelled. What fails waits for the next round; an outage is logged once, and its end."""

    def __init__(self, dispatch: Dispatch, bell: Bell, every_s: float = EVERY_S, rest_s: float = REST_S) -> None:
        self._dispatch = dispatch
        self._rest_s = rest_s
        self._bell = bell
        self._every_s = every_s
        self._outage: str | None = None

    async def run(self) -> None:
        """Never returns and never dies."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            if not await self._pass():
                await self._bell.wait(self._every_s)
                await asyncio.sleep(self._rest_s - (loop.time() - began_s))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Beside the caller, and ended with it."""
        task = asyncio.create_task(self.run(), name="relay")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _pass(self) -> bool:
        """Whether something was done, so that more may wait."""
        try:
            done = await self._dispatch.once()
        except Exception as error:  # noqa: BLE001 (whatever it is, the orders that stand are tried again)
            self._went_out(error.code if isinstance(error, TiroError) else type(error).__name__)
            return False
        if self._outage is not None:
            _LOG.info("orders are carried out again")
            self._outage = None
        return done > 0

    def _went_out(self, why: str) -> None:
        if self._outage != why:
            _LOG.warning("orders wait: %s", why)
            self._outage = why
