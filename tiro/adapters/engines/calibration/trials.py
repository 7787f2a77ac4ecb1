"""What does it cost to hear something so? Hosts of their own, as a pool has them, and the time that they took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

from tiro.adapters.engines.calibration.machine import cpu_s, own_bytes
from tiro.adapters.engines.calibration.speech import words_of
from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.pool import Pool
from tiro.adapters.engines.hosts.protocol import Ask, Spec
from tiro.model.errors import Transient
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions
from tiro.ports import Samples, Urgency

_ASK = Ask(EngineOptions(language="en"))
_US = Urgency("calibration")


class Cost(msgspec.Struct, frozen=True):
    """What was heard, and what it took."""

    words: list[str]
    audio_s: float
    wall_s: float
    cpu_s: float


class Hosts:
    """Use as a context manager: within, they have loaded. Raises Permanent where they cannot."""

    def __init__(self, specs: Sequence[Spec], limits: HostLimits) -> None:
        self._pool = Pool(specs, limits)

    async def __aenter__(self) -> Self:
        """Load; whoever is called away meanwhile leaves none behind."""
        try:
            await self._pool.start()
        except BaseException:
            await self._pool.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """End them."""
        await self._pool.stop()

    @property
    def largest_bytes(self) -> int:
        """Memory of the largest of them."""
        return max(map(own_bytes, self._pool.pids), default=0)

    async def hear(self, windows: Sequence[Samples], at_once: int | None = None) -> Cost:
        """All of them, `at_once` handed over together. Raises Transient where one was not heard."""
        began_s, before_s = time.monotonic(), self._cpu_s()
        step = at_once or len(windows)
        words: list[str] = []
        for first in range(0, len(windows), step):
            for answer in await self._pool.ask(windows[first : first + step], _ASK, _US):
                if answer.heard is None:
                    raise Transient("engine_error")
                words += words_of(segment.text for segment in answer.heard.segments)
        audio_s = sum(map(len, windows)) / SAMPLE_RATE_HZ
        return Cost(words, audio_s, time.monotonic() - began_s, self._cpu_s() - before_s)

    def _cpu_s(self) -> float:
        return sum(map(cpu_s, self._pool.pids))
