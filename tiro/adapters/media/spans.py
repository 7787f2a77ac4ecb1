"""Where to cut a track: in the middle of the longest silence near the wished length, and as soon as that place can no longer change.

All positions are samples of the track. The cuts depend on the speech alone, not on how the track is handed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tiro.adapters.media.vad import Interval, padded
from tiro.model.media import SAMPLE_RATE_HZ

_GOOD_SILENCE = round(0.3 * SAMPLE_RATE_HZ)
"""Near the wished length a silence this long is taken without looking further."""


class Cut(NamedTuple):
    """A piece of the track that is final, and the speech in it."""

    start: int
    end: int
    speech: tuple[Interval, ...]


class Cutter:
    """Cuts tile the track. Each is 0.4 to 1.6 times the target long (only the last may be shorter, down to 0.2, or the only one).

    A silence of 0.3 s between 0.8 and 1.2 times the target is the first choice; then the longest one between 0.4 and 1.4 times; a
    stretch of speech that covers all of that, longer than the target itself, is cut at the target.
    """

    def __init__(self, target: int, pad: int) -> None:
        self._target = target
        self._pad = pad
        self._tail = target // 5
        self._start = 0
        self._speech: list[Interval] = []

    def push(self, ended: Iterable[Interval], pending: Interval | None, settled: int) -> list[Cut]:
        """Speech that has ended, speech under way, and up to where both are certain; the cuts that this makes final."""
        self._speech.extend(ended)
        speech = [*self._speech, pending] if pending is not None else self._speech
        cuts = []
        while (place := self._place(speech, settled)) is not None and settled - place >= self._tail:
            cuts.append(self._cut(speech, place))
        self._speech = [interval for interval in self._speech if interval[1] > self._start]
        return cuts

    def finish(self, ended: Iterable[Interval], end: int) -> list[Cut]:
        """The rest, up to the end of the track; what would be shorter than a fifth of the target stays with the piece before."""
        cuts = self.push(ended, None, end)
        return [*cuts, self._cut(self._speech, end)] if end > self._start else cuts

    def forget(self) -> None:
        """The track has no speech from here on, and had none that is not cut yet."""
        self._speech = []

    def _cut(self, speech: Sequence[Interval], end: int) -> Cut:
        start, self._start = self._start, end
        inside = [(max(low, start), min(high, end)) for low, high in speech if high > start and low < end]
        return Cut(start, end, tuple(padded(inside, self._pad, (start, end))))

    def _place(self, speech: Sequence[Interval], settled: int) -> int | None:
        """Where the piece under way ends; None while that is open."""
        start, target = self._start, self._target
        if settled < start + target * 6 // 5:
            return None
        near = _longest_silence(speech, start + target * 4 // 5, start + target * 6 // 5, start + target)
        if near is not None and near[1] - near[0] >= _GOOD_SILENCE:
            return (near[0] + near[1]) // 2
        if settled < start + target * 8 // 5:
            return None
        wide = _longest_silence(speech, start + target * 2 // 5, start + target * 7 // 5, start + target)
        return start + target if wide is None else (wide[0] + wide[1]) // 2


def _longest_silence(speech: Sequence[Interval], low: int, high: int, wished: int) -> Interval | None:
    """The longest gap between the intervals inside low..high; of equals the one nearest to the wished place."""
    gaps: list[Interval] = []
    at = low
    for start, end in speech:
        if end <= low or start >= high:
            continue
        if start > at:
            gaps.append((at, start))
        at = max(at, end)
    if at < high:
        gaps.append((at, high))
    return max(gaps, key=lambda gap: (gap[1] - gap[0], -abs((gap[0] + gap[1]) // 2 - wished)), default=None)
