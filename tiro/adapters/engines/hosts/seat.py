"""Where one host of a pool sits, and who follows it: another when it died, another between two batches when it has grown."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tiro.adapters.engines.calibration.machine import this_machine
from tiro.adapters.engines.hosts.host import Host, HostLimits
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.model.errors import TiroError

_log = logging.getLogger(__name__)


class Seat:
    """At most one host that works, and at times the one that loads to follow it."""

    def __init__(self, spec: Spec, limits: HostLimits) -> None:
        self._spec = spec
        self._limits = limits
        self._host: Host | None = None
        self._leaving: Host | None = None
        self._successor: asyncio.Task[Host] | None = None
        self.depth = spec.parts
        self.deaths = 0
        self.recyclings = 0

    @property
    def pid(self) -> int | None:
        """Of the host that lives here."""
        return None if self._host is None else self._host.pid

    async def host(self) -> Host:
        """The one that lives. Raises Permanent `engine_unavailable` when there is none and none loads."""
        if self._host is not None and self._host.dead:
            await self.bury()
        if self._host is None:
            self._host = await self._loaded()
        return self._host

    async def bury(self) -> None:
        """It is dead."""
        self.deaths += 1
        await self._followed_by(None)

    @property
    def due(self) -> bool:
        """Whether the host has grown, and is to have no more batches before `renew`."""
        grown = self._host is not None and not self._host.dead and self._host.growth.too_large
        return grown and (self._successor is None or self._successor.done())

    async def renew(self) -> None:
        """Between two batches: a host that has grown goes as soon as another can sit here. Raises only where that one does not load."""
        if not self.due or self._host is None:
            return
        if self._successor is None and self._room():
            self._successor = asyncio.create_task(Host.spawn(self._spec, self._limits))
            return
        grown = self._host
        if self._successor is None:
            await self._followed_by(None)
            await self.host()
        else:
            try:
                await self._followed_by(await self._loaded())
            except (TiroError, OSError) as error:
                _log.warning("model host %d stays, though it grew: %s", grown.pid, type(error).__name__)
                grown.growth.accept()
                return
        self.recyclings += 1
        _log.info("model host %d grew from %s, and %d took its place", grown.pid, grown.growth, self.pid)

    async def end(self) -> None:
        """Nobody sits here any more. Harmless when repeated."""
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.cancel()
            with contextlib.suppress(asyncio.CancelledError, TiroError, OSError):
                await (await successor).end()
        if self._leaving is not None:
            await self._leaving.end()
        await self._followed_by(None)

    def _room(self) -> bool:
        """For a second one beside it, for as long as that loads."""
        assert self._host is not None
        return self._spec.beside and this_machine(0).memory_bytes > self._host.growth.usual_bytes

    async def _loaded(self) -> Host:
        """A host that has said hello: the one that loads already, or a new one."""
        successor, self._successor = self._successor, None
        return await (successor or Host.spawn(self._spec, self._limits))

    async def _followed_by(self, host: Host | None) -> None:
        self._leaving, self._host = self._host, host
        if self._leaving is not None:
            # told to stop meanwhile, this worker ends it all the same: `end` looks for it
            await self._leaving.end()
            self._leaving = None
