"""n model hosts behind one batcher, and what becomes of the windows when a host dies."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

import msgspec

from tiro.adapters.engines.hosts.batcher import Batcher, Waiting
from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.protocol import Answer, Ask, Done, Spec
from tiro.adapters.engines.hosts.seat import Seat
from tiro.model.errors import Permanent, TiroError, Transient, frames_of
from tiro.model.media import SAMPLE_RATE_HZ
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


class Figures(msgspec.Struct, frozen=True):
    """What a pool has done since it was made. `busy_s`: the seconds in which its hosts had a batch, all together."""

    busy_s: float = 0.0
    audio_s: float = 0.0
    windows: int = 0
    batches: int = 0
    deaths: int = 0
    recyclings: int = 0


class Given:
    """A batch that a host is given, and its answers to come."""

    def __init__(self, batch: list[Waiting]) -> None:
        self.batch = batch
        self.done: asyncio.Future[Done | None]

    @property
    def lost(self) -> bool:
        """Its host has died."""
        return self.done.done() and self.done.result() is None


class Pool:
    """Answers windows with one host per spec. A host's death costs the others nothing; only a window that kills alone fails."""

    def __init__(self, specs: Sequence[Spec], limits: HostLimits) -> None:
        self._killers = Killers()
        smallest = min(specs, key=lambda spec: spec.max_batch)
        self._batcher = Batcher(smallest.max_samples, smallest.max_windows)
        self._seats = [Seat(spec, limits) for spec in specs]
        self._figures = Figures()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> list[int]:
        """The hosts that live."""
        return [seat.pid for seat in self._seats if seat.pid is not None]

    def figures(self) -> Figures:
        """Until now."""
        deaths = sum(seat.deaths for seat in self._seats)
        recyclings = sum(seat.recyclings for seat in self._seats)
        return msgspec.structs.replace(self._figures, deaths=deaths, recyclings=recyclings)

    async def start(self) -> None:
        """All hosts have loaded. Raises Permanent `engine_unavailable`, and then none is left behind."""
        if self._tasks:
            return
        try:
            async with asyncio.TaskGroup() as loading:
                for seat in self._seats:
                    loading.create_task(seat.host())
        except* TiroError as failed:
            await self.stop()
            raise next(error for error in failed.exceptions if isinstance(error, TiroError)) from None
        self._tasks = [asyncio.create_task(self._serve(seat)) for seat in self._seats]

    async def ask(self, windows: Sequence[Samples], ask: Ask, urgency: Urgency) -> list[Answer]:
        """One answer per window. Cancelled, the windows that wait are dropped; those in a running batch are finished and forgotten."""
        if not self._tasks:
            raise Transient("engine_stopped")
        waiting = [self._batcher.put(window, ask, urgency) for window in windows]
        try:
            return [await one.answer for one in waiting]
        finally:
            for one in waiting:
                self._batcher.drop(one)
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
        await asyncio.gather(*(seat.end() for seat in self._seats))

    async def _serve(self, seat: Seat) -> None:
        given: deque[Given] = deque()
        while True:
            try:
                await self._step(seat, given)
            except (TiroError, OSError) as error:
                # it has run before, with all its hosts: what keeps one from coming back may pass
                _log.warning("a model host does not come back: %s", type(error).__name__)
                await self._give_up(seat, given, Transient("engine_unavailable"))
            except Exception as error:  # noqa: BLE001 - with nobody serving, all later windows would wait for ever
                _log.error("%s: %d batches failed\n%s", type(error).__name__, len(given), frames_of(error))
                await self._give_up(seat, given, Transient("engine_error"))
            except BaseException:
                self._fail(given, Transient("engine_stopped"))
                raise

    async def _step(self, seat: Seat, given: deque[Given]) -> None:
        """An idle host gets a batch, a busy one another where it takes one ahead; then the older one is waited for."""
        if not given:
            await seat.renew()
            given.append(Given(await self._batcher.take()))
            # what follows a grown one may have loaded meanwhile
            await seat.renew()
            await self._send(seat, given[0])
        if len(given) < seat.depth and not seat.due and (batch := await self._batcher.take_ahead(given[0].done)):
            given.append(Given(batch))
            # where the host died in this very moment, it runs alone like the other
            if not given[0].lost:
                await self._send(seat, given[-1])
        done = await given[0].done
        if done is None:
            await self._run_all_alone(seat, given)
        else:
            self._settle(given.popleft().batch, done)

    async def _run_all_alone(self, seat: Seat, given: deque[Given]) -> None:
        windows = [waiting for one in given for waiting in one.batch]
        _log.warning("a model host died with %d windows; they run alone", len(windows))
        for waiting in windows:
            if waiting.wanted:
                alone = Given([waiting])
                await self._send(seat, alone)
                done = await alone.done
                if done is None:
                    self._fail([alone], self._killers.verdict(waiting.window))
                else:
                    self._settle([waiting], done)
        given.clear()

    async def _send(self, seat: Seat, one: Given) -> None:
        host = await seat.host()
        one.done = await host.send([waiting.window for waiting in one.batch], one.batch[0].ask)

    def _settle(self, batch: list[Waiting], done: Done) -> None:
        for waiting, answer in zip(batch, done.answers, strict=True):
            if waiting.wanted:
                waiting.answer.set_result(answer)
        now = self._figures
        self._figures = Figures(
            busy_s=now.busy_s + done.compute_s,
            audio_s=now.audio_s + sum(waiting.size for waiting in batch) / SAMPLE_RATE_HZ,
            windows=now.windows + len(batch),
            batches=now.batches + 1,
        )

    async def _give_up(self, seat: Seat, given: deque[Given], error: TiroError) -> None:
        """These batches fail, and a host that may still have one of them goes."""
        self._fail(given, error)
        given.clear()
        await seat.end()

    def _fail(self, given: Iterable[Given], error: TiroError) -> None:
        for one in given:
            for waiting in one.batch:
                if waiting.wanted:
                    waiting.answer.set_exception(error)
