"""An engine whose model stays loaded in a pool of hosts."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from tiro.adapters.engines.abilities import Abilities
from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.pool import Figures, Pool
from tiro.adapters.engines.hosts.protocol import PASS_S, Answer, Ask, Spec
from tiro.model.errors import Transient
from tiro.model.speech import EngineOptions, Heard, Task
from tiro.ports import Samples, Urgency

_log = logging.getLogger(__name__)
_LEAST_MEMORY_BYTES = 4 * 1024**3
_SHARE_OF_MEMORY = 0.8


class ResidentEngine:
    """Speaks for a pool: what it can do comes from its abilities, what it hears from its hosts."""

    def __init__(self, abilities: Abilities, specs: Sequence[Spec], limits: HostLimits | None = None) -> None:
        self._abilities = abilities
        self.id = abilities.id
        self.model = abilities.model
        self.max_window_s = abilities.max_window_s
        self.windows_in_flight = _at_once(specs, self.max_window_s)
        self.pool = Pool(specs, limits or HostLimits(memory_bytes=fair_memory_bytes(len(specs))))

    def settle(self, specs: Sequence[Spec], limits: HostLimits, window_s: float) -> None:
        """Before it starts: other hosts, and other windows, than it was made with."""
        self.max_window_s = min(window_s, self._abilities.max_window_s)
        self.windows_in_flight = _at_once(specs, self.max_window_s)
        self.pool = Pool(specs, limits)

    def supports(self, language: str | None, task: Task) -> bool:
        return self._abilities.supports(language, task)

    async def start(self) -> None:
        await self.pool.start()

    async def stop(self) -> None:
        """End the hosts, and say in the log what they did."""
        ran = bool(self.pool.pids)
        await self.pool.stop()
        if ran:
            _log.info("%s: %s", self.id, self.pool.figures())

    def figures(self) -> Figures:
        """What its hosts have done so far."""
        return self.pool.figures()

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        answers = await self.pool.ask(windows, Ask(options), urgency)
        return [answer.heard for answer in map(_sound, answers) if answer.heard is not None]

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        answers = await self.pool.ask(windows, Ask(detect=True), urgency)
        return [answer.languages for answer in map(_sound, answers) if answer.languages is not None]


def replicas_on_cpu(wished: int | None) -> int:
    """One thread each; one core is left to the rest unless someone decides otherwise."""
    return wished or max(1, len(os.sched_getaffinity(0)) - 1)


def fair_memory_bytes(hosts: int) -> int:
    """What one of n hosts may hold before it is taken for a leak."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(_LEAST_MEMORY_BYTES, int(whole * _SHARE_OF_MEMORY / hosts))


def _at_once(specs: Sequence[Spec], window_s: float) -> int:
    """Windows of this length that the hosts have in hand, all together."""
    return sum(spec.parts * min(spec.max_windows, int(spec.max_batch * PASS_S / window_s)) for spec in specs)


def _sound(answer: Answer) -> Answer:
    if answer.failed:
        raise Transient("engine_error")
    return answer
