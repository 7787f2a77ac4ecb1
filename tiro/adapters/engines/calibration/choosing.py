"""Which trials are worth their time, and what follows from them? In the order of what they bring, until the time is up.

A processor is judged by the time that its hosts had of it, which neighbours do not change; how many replicas, and all of a card, by
the clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tiro.adapters.engines.calibration.machine import Machine
from tiro.adapters.engines.calibration.sizes import WHOLE_S, Sizes, Wishes, fitting
from tiro.adapters.engines.calibration.speech import Passage, passages, wrong
from tiro.adapters.engines.calibration.trials import Cost, Hosts
from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.model.errors import TiroError
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

_log = logging.getLogger(__name__)
WORTH_S = 15.0
"""No trial begins that is expected to end later than this after the first model has loaded."""
AT_MOST_S = 60.0
_GAIN = 0.05
"""What is less is noise: the smaller one is taken."""
_CLEARLY = 0.1
"""What has its price has to be faster by so much: fewer replicas (who is busy beside them now will not always be), shorter windows,
larger batches on a processor (who is in a hurry waits for the one that runs)."""
_TWICE = 2
_WINDOWS_S = (WHOLE_S, 20.0, 15.0)
"""Shorter ones cut sentences apart."""
_BATCHES_ON_CPU = (1, 4)
_BATCHES_ON_CARD = (8, 16, 32, 64)
_LONGEST_BATCH_S = 5.0
"""On a processor: whoever is in a hurry waits for the batch that runs."""
_UNDERSTOOD = 0.35
"""A model that gets more of a recording wrong than this share has not learned its words: it says nothing about the model."""
_OPENING = 4

SpecOf = Callable[[Sizes, int], Spec]
"""What a host of these sizes loads; the number is the replica's."""


class Choosing:
    """One calibration. `sizes` is what is known so far."""

    def __init__(self, wishes: Wishes, machine: Machine, rule: Sizes, spec_of: SpecOf, limits: HostLimits) -> None:
        self.sizes = rule
        self._wishes = wishes
        self._machine = machine
        self._spec_of = spec_of
        self._limits = limits
        self._passages = passages()
        self._understood: list[tuple[Passage, Cost]] = []
        self._per_audio_s = 0.0
        self._until_s = 0.0

    async def run(self) -> Sizes:
        """The best that was found; what a trial could not show, or found no time for, stays by the rule. Raises TiroError."""
        try:
            async with asyncio.timeout(AT_MOST_S):
                await self._alone()
                await self._side_by_side()
        except TimeoutError:
            _log.warning("measuring took longer than %.0f s and was left", AT_MOST_S)
            self._per_audio_s = self._per_audio_s or 1.0
        if self._wishes.batch is None and not self._machine.cards:
            most = max(1, int(_LONGEST_BATCH_S / max(1e-6, self._per_audio_s * self.sizes.window_s)))
            self._set(batch=min(self.sizes.batch, most))
        return self.sizes

    # --- one host

    async def _alone(self) -> None:
        async with self._hosts() as hosts:
            self._until_s = time.monotonic() + WORTH_S
            await self._hear_first(hosts)
            if self.sizes.context == "short" and self._wishes.window_s is None:
                others = [window_s for window_s in _WINDOWS_S if window_s != self.sizes.window_s]
                await self._try_windows(hosts, others)
        # a card is filled by windows that share a pass
        if self._wishes.context is None and self._understood and not self._machine.cards:
            await self._try_short()
        if self._wishes.batch is None:
            await self._try_batches()

    async def _hear_first(self, hosts: Hosts) -> None:
        """All that is spoken, or only its opening where that takes long: what it costs, and what is understood of it."""
        opening = self._passages[0].opening(_OPENING)
        heard = [(opening, await hosts.hear(opening.windows(self.sizes.window_s)))]
        if self._affords(4 * heard[0][1].wall_s):
            heard = [(one, await hosts.hear(one.windows(self.sizes.window_s))) for one in self._passages]
        self._note(hosts, [cost for _, cost in heard])
        self._understood = [
            (one, cost) for one, cost in heard if wrong(cost.words, one.words) <= _UNDERSTOOD * len(one.words)
        ]

    async def _try_short(self) -> None:
        """Each window at its own length, if the model hears no worse so and it is faster."""
        before = self.sizes
        trial = msgspec.structs.replace(before, context="short")
        windows_s = _WINDOWS_S if self._wishes.window_s is None else (self._wishes.window_s,)
        if not self._affords(self._expected_s(self._spoken_s / 2)):
            return
        try:
            async with self._hosts(trial) as hosts:
                await hosts.hear(self._passages[0].opening(1).windows(before.window_s))
                await self._try_windows(hosts, windows_s, "short")
        except TiroError as error:
            _log.warning("the short context cannot be tried: %s", error.code)
            self.sizes = before

    async def _try_windows(self, hosts: Hosts, windows_s: Sequence[float], context: str | None = None) -> None:
        for window_s in windows_s:
            if not self._affords(self._expected_s(self._spoken_s / 2)):
                return
            costs = [await hosts.hear(one.windows(window_s)) for one, _ in self._understood]
            no_worse = all(
                wrong(cost.words, one.words) <= wrong(known.words, one.words)
                for (one, known), cost in zip(self._understood, costs, strict=True)
            )
            self._measured(*(["context"] if context else []), *(["window_s"] if self._wishes.window_s is None else []))
            least = _GAIN if window_s == WHOLE_S else _CLEARLY
            if costs and no_worse and self._per(costs) < self._per_audio_s * (1 - least):
                self._set(window_s=window_s, context=context or self.sizes.context)
                self._note(hosts, costs)

    async def _try_batches(self) -> None:
        found = await (self._batches_on_card() if self._machine.cards else self._batches_on_cpu())
        if len(found) > 1:
            self._set(batch=smallest(found, _GAIN if self._machine.cards else _CLEARLY))
            self._measured("batch")

    async def _batches_on_cpu(self) -> dict[int, float]:
        """Batch -> seconds of work per second of audio."""
        found: dict[int, float] = {}
        windows = self._windows(_BATCHES_ON_CPU[-1])
        each_s = self._expected_s(_audio_s(windows))
        if self._affords(2 * each_s):
            async with self._hosts(msgspec.structs.replace(self.sizes, batch=len(windows))) as hosts:
                await hosts.hear(windows[:1])
                for batch in _BATCHES_ON_CPU:
                    if self._affords(each_s):
                        found[batch] = self._per([await hosts.hear(windows, batch)])
        return found

    async def _batches_on_card(self) -> dict[int, float]:
        """Each with a host of its own, three of them to see features made beside. One that has no room is heard in pieces, slowly."""
        found: dict[int, float] = {}
        for batch in _BATCHES_ON_CARD:
            windows = self._windows(3 * batch)
            if not self._affords(self._expected_s(_audio_s(windows))):
                break
            async with self._hosts(msgspec.structs.replace(self.sizes, batch=batch)) as hosts:
                await hosts.hear(windows[:1])
                found[batch] = self._per([await hosts.hear(windows)])
            if found[batch] > self._per_audio_s * (1 - _GAIN):
                break
            self._per_audio_s = found[batch]
            self._set(speed=round(self._machine.cards / found[batch], 2))
        return found

    # --- several hosts

    async def _side_by_side(self) -> None:
        """As many replicas of one thread as are fastest together, and have room."""
        if self._machine.cards:
            return
        most = self._wishes.replicas or min(self._machine.cores, fitting(self._machine, self.sizes.replica_bytes))
        self._set(replicas=most)
        window = self._windows(1)
        audio_s = _audio_s(window)
        self._set(speed=round(most / max(1e-6, self._per_audio_s), 2))
        if self._wishes.replicas or most == 1 or not self._affords(6 * self._expected_s(audio_s)):
            return
        speeds: dict[int, float] = {}
        async with self._hosts(count=most) as hosts:
            await hosts.hear(window * most)
            for count in sorted({1, (most + 1) // 2, most}):
                took_s = min([(await hosts.hear(window * count)).wall_s for _ in range(_TWICE)])
                speeds[count] = count * audio_s / took_s
        fastest = max(speeds.values())
        chosen = max(count for count, speed in speeds.items() if speed >= fastest * (1 - _CLEARLY))
        self._set(replicas=chosen)
        self._set(speed=round(speeds[chosen], 2))
        self._measured("replicas")

    # --- what all of these need

    def _hosts(self, sizes: Sizes | None = None, count: int = 1) -> Hosts:
        return Hosts([self._spec_of(sizes or self.sizes, number) for number in range(count)], self._limits)

    def _windows(self, count: int) -> list[Samples]:
        """So many windows of about the length that is chosen."""
        spoken = [window for one in self._passages for window in one.windows(self.sizes.window_s)]
        longest = sorted(spoken, key=len, reverse=True)
        return [longest[number % min(2, len(longest))] for number in range(count)]

    def _note(self, hosts: Hosts, costs: Sequence[Cost]) -> None:
        self._per_audio_s = self._per(costs)
        self._set(replica_bytes=hosts.largest_bytes or self.sizes.replica_bytes)

    def _per(self, costs: Sequence[Cost]) -> float:
        """Seconds of work per second of audio."""
        took_s = sum(cost.wall_s if self._machine.cards else cost.cpu_s for cost in costs)
        return took_s / max(1e-6, sum(cost.audio_s for cost in costs))

    @property
    def _spoken_s(self) -> float:
        return sum(cost.audio_s for _, cost in self._understood)

    def _expected_s(self, audio_s: float) -> float:
        return audio_s * self._per_audio_s

    def _affords(self, takes_s: float) -> bool:
        return time.monotonic() + takes_s <= self._until_s

    def _measured(self, *names: str) -> None:
        self._set(measured=tuple(dict.fromkeys((*self.sizes.measured, *names))))

    def _set(self, **found: object) -> None:
        self.sizes = msgspec.structs.replace(self.sizes, **found)


def smallest(found: Mapping[int, float], share: float) -> int:
    """Of these (batch -> seconds of work per second of audio) the smallest that takes at most this share longer than the best."""
    best = min(found.values())
    return min(batch for batch, per_s in found.items() if per_s <= best * (1 + share))


def _audio_s(windows: Sequence[Samples]) -> float:
    return sum(map(len, windows)) / SAMPLE_RATE_HZ
