"""Whose windows are taken next, and which share a batch: by (priority, arrival), never mixing what is asked."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from tiro.adapters.engines.hosts.protocol import PASS_SAMPLES, Answer, Ask
from tiro.model.errors import TiroError
from tiro.ports import Samples, Urgency


class Waiting:
    """One window that waits. Cancelling its `answer` takes it out of the queue."""

    def __init__(self, window: Samples, ask: Ask, urgency: Urgency, arrival: int, since_s: float) -> None:
        self.window = window
        self.size = min(len(window), PASS_SAMPLES)
        self.ask = ask
        self.urgency = urgency
        self.since_s = since_s
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._order = (urgency.priority, arrival)

    def __lt__(self, other: Waiting) -> bool:
        return self._order < other._order

    @property
    def wanted(self) -> bool:
        """Nobody has answered it or given it up."""
        return not self.answer.done()


class Batcher:
    """Gathers windows of all jobs into batches of so many samples and windows at most, waiting at most `wait_s` for company."""

    def __init__(self, max_samples: int, max_windows: int, wait_s: float = 0.02) -> None:
        self._max_samples = max_samples
        self._max_windows = max_windows
        self._wait_s = wait_s
        self._heap: list[Waiting] = []
        self._arrivals = itertools.count()
        self._arrived = asyncio.Event()
        self._taking = asyncio.Lock()
        self._idle = 0

    def put(self, window: Samples, ask: Ask, urgency: Urgency) -> Waiting:
        """Queue a window."""
        waiting = Waiting(window, ask, urgency, next(self._arrivals), asyncio.get_running_loop().time())
        heapq.heappush(self._heap, waiting)
        self._arrived.set()
        return waiting

    async def take(self) -> list[Waiting]:
        """The next batch: the most urgent window and others that ask the same, shared fairly with those who also wait to take."""
        self._idle += 1
        try:
            async with self._taking:
                await self._gather()
                return self._pick()
        finally:
            self._idle -= 1

    def fail_all(self, error: TiroError) -> None:
        """Answer all that wait with this error."""
        for waiting in self._heap:
            if waiting.wanted:
                waiting.answer.set_exception(error)
        self._heap.clear()

    async def _gather(self) -> None:
        """Return when there is a batch: a full one, or one whose first window has waited long enough."""
        loop = asyncio.get_running_loop()
        while True:
            alike = self._alike()
            left_s = alike[0].since_s + self._wait_s - loop.time() if alike else None
            if self._full(alike) or (left_s is not None and left_s <= 0):
                return
            self._arrived.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _alike(self) -> list[Waiting]:
        """The wanted windows that ask what the most urgent one asks, most urgent first."""
        self._heap = [waiting for waiting in self._heap if waiting.wanted]
        heapq.heapify(self._heap)
        return sorted(waiting for waiting in self._heap if waiting.ask == self._heap[0].ask)

    def _full(self, alike: list[Waiting]) -> bool:
        return len(alike) >= self._max_windows or sum(waiting.size for waiting in alike) >= self._max_samples

    def _pick(self) -> list[Waiting]:
        alike = self._alike()
        share = sum(waiting.size for waiting in alike) / max(1, self._idle)
        picked: list[Waiting] = []
        samples = 0
        for waiting in alike[: self._max_windows]:
            if picked and (samples >= share or samples + waiting.size > self._max_samples):
                break
            picked.append(waiting)
            samples += waiting.size
        self._heap = [waiting for waiting in self._heap if waiting not in picked]
        heapq.heapify(self._heap)
        return picked
