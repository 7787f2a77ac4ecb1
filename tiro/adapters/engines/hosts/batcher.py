"""Whose windows are taken next, and which share a batch: by (priority, arrival), never mixing what is asked."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Any

from tiro.adapters.engines.hosts.protocol import PASS_SAMPLES, Answer, Ask
from tiro.model.errors import TiroError
from tiro.ports import Samples, Urgency

_SKIPPED_AT_MOST = 64
"""Entries of those that left may lie in a queue beside as many as wait, and so many more."""


class Waiting:
    """One window and the answer that somebody waits for; `queued` until it is taken or dropped."""

    def __init__(self, window: Samples, ask: Ask, urgency: Urgency, arrival: int, since_s: float) -> None:
        self.window = window
        self.size = min(len(window), PASS_SAMPLES)
        self.ask = ask
        self.order = (urgency.priority, arrival)
        self.since_s = since_s
        self.queued = True
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def wanted(self) -> bool:
        """Nobody has answered it or given it up."""
        return not self.answer.done()


Taker = asyncio.Future[list[Waiting]]
"""A host that wants a batch."""


class Queue:
    """Windows by (priority, arrival). Those that left are skipped when their turn comes, so that leaving costs nothing."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[int, int], Waiting]] = []
        self.count = 0
        self.samples = 0

    def push(self, waiting: Waiting) -> None:
        heapq.heappush(self._heap, (waiting.order, waiting))
        self.count += 1
        self.samples += waiting.size

    def first(self) -> Waiting | None:
        """The most urgent one."""
        while self._heap and not self._heap[0][1].queued:
            heapq.heappop(self._heap)
        return self._heap[0][1] if self._heap else None

    def left(self, waiting: Waiting) -> None:
        """One of those in it is not queued any more."""
        self.count -= 1
        self.samples -= waiting.size
        if len(self._heap) > 2 * self.count + _SKIPPED_AT_MOST:
            # they keep audio in memory
            self._heap = [entry for entry in self._heap if entry[1].queued]
            heapq.heapify(self._heap)

    def all(self) -> list[Waiting]:
        """Those that wait, in no order."""
        return [waiting for _, waiting in self._heap if waiting.queued]


class Batcher:
    """Gathers windows of all jobs into batches of so many samples and windows at most, waiting at most `wait_s` for company."""

    def __init__(self, max_samples: int, max_windows: int, wait_s: float = 0.02) -> None:
        self._max_samples = max_samples
        self._max_windows = max_windows
        self._wait_s = wait_s
        self._all = Queue()
        self._asked: dict[Ask, Queue] = {}
        self._arrivals = itertools.count()
        self._idle: list[Taker] = []
        self._busy: list[Taker] = []
        self._soon = False
        self._later: asyncio.TimerHandle | None = None

    def put(self, window: Samples, ask: Ask, urgency: Urgency) -> Waiting:
        """Queue a window."""
        waiting = Waiting(window, ask, urgency, next(self._arrivals), asyncio.get_running_loop().time())
        self._enter(waiting)
        return waiting

    def drop(self, waiting: Waiting) -> None:
        """Nobody wants its answer any more. Harmless where it is not queued."""
        if waiting.queued:
            self._leave(waiting)

    async def take(self) -> list[Waiting]:
        """The next batch: the most urgent window and others that ask the same, shared fairly with those who also wait to take."""
        return await self._taken(self._idle, asyncio.get_running_loop().create_future())

    async def take_ahead(self, current: asyncio.Future[Any]) -> list[Waiting]:
        """A full batch, for a host that still works, where none is idle; empty when `current` is done before there is one."""

        def give_up(_: object) -> None:
            if not taken.done():
                taken.set_result([])

        taken: Taker = asyncio.get_running_loop().create_future()
        current.add_done_callback(give_up)
        try:
            return await self._taken(self._busy, taken)
        finally:
            current.remove_done_callback(give_up)

    def fail_all(self, error: TiroError) -> None:
        """Answer all that wait with this error."""
        for waiting in self._all.all():
            self._leave(waiting)
            if waiting.wanted:
                waiting.answer.set_exception(error)

    async def _taken(self, takers: list[Taker], taken: Taker) -> list[Waiting]:
        takers.append(taken)
        self._look_soon()
        try:
            return await taken
        except asyncio.CancelledError:
            if taken.done() and not taken.cancelled():
                # handed over in the moment in which the taker was told to stop
                for waiting in taken.result():
                    self._enter(waiting)
            raise
        finally:
            takers.remove(taken)

    def _enter(self, waiting: Waiting) -> None:
        waiting.queued = True
        self._all.push(waiting)
        self._asked.setdefault(waiting.ask, Queue()).push(waiting)
        self._look_soon()

    def _leave(self, waiting: Waiting) -> None:
        waiting.queued = False
        self._all.left(waiting)
        queue = self._asked[waiting.ask]
        queue.left(waiting)
        if not queue.count:
            del self._asked[waiting.ask]

    def _look_soon(self) -> None:
        """Once for all that arrives in this turn of the loop."""
        if not self._soon and (self._idle or self._busy):
            self._soon = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Hand out what is a batch by now: a full one, or for an idle host one whose first window has waited long enough."""
        self._soon = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        loop = asyncio.get_running_loop()
        while first := self._all.first():
            queue = self._asked[first.ask]
            full = queue.count >= self._max_windows or queue.samples >= self._max_samples
            idle = [taken for taken in self._idle if not taken.done()]
            takers = idle or [taken for taken in self._busy if full and not taken.done()]
            if not takers:
                return
            ripe_s = first.since_s + self._wait_s
            if not full and loop.time() < ripe_s:
                self._later = loop.call_at(ripe_s, self._look)
                return
            takers[0].set_result(self._pick(queue, len(takers)))

    def _pick(self, queue: Queue, takers: int) -> list[Waiting]:
        share = queue.samples / takers
        picked: list[Waiting] = []
        samples = 0
        while len(picked) < self._max_windows and (waiting := queue.first()):
            if picked and (samples >= share or samples + waiting.size > self._max_samples):
                break
            self._leave(waiting)
            picked.append(waiting)
            samples += waiting.size
        return picked
