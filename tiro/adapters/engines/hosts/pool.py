"""n model hosts behind one batcher, and what becomes of the windows when a host dies."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence

from tiro.adapters.engines.hosts.batcher import Batcher, Waiting
from tiro.adapters.engines.hosts.host import Host, HostDied, HostLimits
from tiro.adapters.engines.hosts.protocol import Answer, Ask, Spec
from tiro.model.errors import Permanent, TiroError, Transient, frames_of
from tiro.ports import Samples, Urgency

_log = logging.getLogger(__name__)
_REMEMBERED = 4096
_CRASH = "engine_crash"


class Killers:
    """Remembers which windows killed a host all by themselves: the first time may have been chance, the second was not."""

    def __init__(self, capacity: int = _REMEMBERED) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._capacity = capacity

    def verdict(self, window: Samples) -> TiroError:
        """Transient `engine_crash` the first time, Permanent after it."""
        digest = hashlib.blake2b(window.tobytes(), digest_size=16).digest()
        before = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        while len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        return Permanent(_CRASH) if before else Transient(_CRASH)


class Pool:
    """Answers windows with one host per spec. A host's death costs the others nothing; only a window that kills alone fails."""

    def __init__(self, specs: Sequence[Spec], limits: HostLimits) -> None:
        self._specs = specs
        self._limits = limits
        self._killers = Killers()
        smallest = min(specs, key=lambda spec: spec.max_batch)
        self._batcher = Batcher(smallest.max_samples, smallest.max_windows)
        self._hosts: dict[int, Host] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> list[int]:
        """The hosts that live."""
        return [host.pid for host in self._hosts.values()]

    async def start(self) -> None:
        """All hosts have loaded. Raises Permanent `engine_unavailable`, and then none is left behind."""
        if self._tasks:
            return
        try:
            async with asyncio.TaskGroup() as loading:
                for index in range(len(self._specs)):
                    loading.create_task(self._host(index))
        except* TiroError as failed:
            await self.stop()
            raise next(error for error in failed.exceptions if isinstance(error, TiroError)) from None
        self._tasks = [asyncio.create_task(self._serve(index)) for index in range(len(self._specs))]

    async def ask(self, windows: Sequence[Samples], ask: Ask, urgency: Urgency) -> list[Answer]:
        """One answer per window. Cancelled, the windows that wait are dropped; those in a running batch are finished and forgotten."""
        if not self._tasks:
            raise Transient("engine_stopped")
        waiting = [self._batcher.put(window, ask, urgency) for window in windows]
        try:
            return [await one.answer for one in waiting]
        finally:
            for one in waiting:
                one.answer.cancel()
                if one.answer.done() and not one.answer.cancelled():
                    # its error was seen, or belongs to a call that failed with another one
                    one.answer.exception()

    async def stop(self) -> None:
        """End all hosts and fail what waits, Transient `engine_stopped`. Harmless when repeated."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._batcher.fail_all(Transient("engine_stopped"))
        hosts, self._hosts = list(self._hosts.values()), {}
        await asyncio.gather(*(host.end() for host in hosts))

    async def _serve(self, index: int) -> None:
        while True:
            batch = await self._batcher.take()
            try:
                await self._answer(index, batch)
            except (TiroError, OSError) as error:
                # it has run before, with all its hosts: what keeps one from coming back may pass
                _log.warning("model host %d does not come back: %s", index, type(error).__name__)
                self._fail(batch, Transient("engine_unavailable"))
            except Exception as error:  # noqa: BLE001 - with nobody serving, all later windows would wait for ever
                _log.error("%s: a batch of %d failed\n%s", type(error).__name__, len(batch), frames_of(error))
                self._fail(batch, Transient("engine_error"))
            except BaseException:
                self._fail(batch, Transient("engine_stopped"))
                raise

    async def _answer(self, index: int, batch: list[Waiting]) -> None:
        try:
            await self._run(index, batch)
        except HostDied:
            _log.warning("model host %d died with a batch of %d; its windows run alone", index, len(batch))
            for waiting in batch:
                await self._run_alone(index, waiting)

    async def _run_alone(self, index: int, waiting: Waiting) -> None:
        if not waiting.wanted:
            return
        try:
            await self._run(index, [waiting])
        except HostDied:
            self._fail([waiting], self._killers.verdict(waiting.window))

    async def _run(self, index: int, batch: list[Waiting]) -> None:
        host = await self._host(index)
        try:
            answers = await host.run([waiting.window for waiting in batch], batch[0].ask)
        except HostDied:
            del self._hosts[index]
            raise
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.wanted:
                waiting.answer.set_result(answer)

    async def _host(self, index: int) -> Host:
        if index not in self._hosts:
            self._hosts[index] = await Host.spawn(self._specs[index], self._limits)
        return self._hosts[index]

    def _fail(self, batch: list[Waiting], error: TiroError) -> None:
        for waiting in batch:
            if waiting.wanted:
                waiting.answer.set_exception(error)
