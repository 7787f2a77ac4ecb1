"""Which windows of audio an engine is asked about, where its answers lie in the recording, and what speech nobody answered for.

All times are seconds of the recording, unless a name says otherwise. Intervals are (start_s, end_s).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from tiro.model.media import Span
from tiro.model.speech import Heard, HeardSegment, HeardWord

Interval = tuple[float, float]

PAD_S = 0.2
"""Silence kept around speech, so that no consonant is lost."""
_SLACK_S = 0.001
"""Windows stay this much under the engine's limit, so that rounding to samples never passes it."""


def cut(span: Span, max_window_s: float) -> list[Interval]:
    """Windows <= `max_window_s` that hold all speech of the span, in order, apart from each other.

    Neighbouring stretches of speech share a window as far as they fit (an encoder pass costs the same for 1 s and 30 s); a cut falls
    inside speech only where a stretch is longer than a window. A span without speech has no windows.
    """
    return pack(span.speech, (span.start_s, span.end_s), max_window_s)


def pack(speech: Sequence[Interval], bounds: Interval, max_window_s: float) -> list[Interval]:
    """As `cut`, for any intervals inside `bounds`; `uncovered` speech is packed again with this."""
    return _fitted(_padded(sorted(speech), bounds), max_window_s - _SLACK_S)


def cut_all(span: Span, max_window_s: float) -> list[Interval]:
    """Windows <= `max_window_s` that hold the whole span, speech or not, without a gap; cut as far from speech as may be."""
    tiles: list[Interval] = []
    at_s = span.start_s
    for start_s, end_s in _padded(sorted(span.speech), (span.start_s, span.end_s)):
        tiles += [(at_s, start_s), (start_s, end_s)]
        at_s = end_s
    tiles.append((at_s, span.end_s))
    return _fitted([tile for tile in tiles if tile[0] < tile[1]], max_window_s - _SLACK_S)


def place(heard: Heard, window: Interval) -> tuple[HeardSegment, ...]:
    """The segments of one answer, moved from the window's time to the recording's and kept inside the window."""
    start_s, end_s = window

    def at(time_s: float) -> float:
        return round(min(max(start_s + time_s, start_s), end_s), 3)

    return tuple(
        HeardSegment(
            start_s=at(segment.start_s),
            end_s=at(segment.end_s),
            text=segment.text,
            words=tuple(HeardWord(w.text, at(w.start_s), at(w.end_s), w.confidence) for w in segment.words),
            confidence=segment.confidence,
        )
        for segment in heard.segments
    )


def uncovered(speech: Sequence[Interval], words: Iterable[HeardWord], min_gap_s: float = 2.0) -> list[Interval]:
    """Stretches of speech of at least `min_gap_s` in which no word lies: worth decoding again, alone."""
    taken = _merged((word.start_s, word.end_s) for word in words)
    return [gap for interval in _merged(speech) for gap in _without(interval, taken) if gap[1] - gap[0] >= min_gap_s]


def covered_s(speech: Sequence[Interval], words: Iterable[HeardWord], min_gap_s: float = 2.0) -> float:
    """Seconds of speech that carry words; a pause shorter than `min_gap_s` between words counts as covered."""
    whole_s = sum(end_s - start_s for start_s, end_s in _merged(speech))
    return whole_s - sum(end_s - start_s for start_s, end_s in uncovered(speech, words, min_gap_s))


def _fitted(intervals: Iterable[Interval], limit_s: float) -> list[Interval]:
    """As few windows as these, in order, make."""
    windows: list[Interval] = []
    for start_s, end_s in _pieces(intervals, limit_s):
        if windows and end_s - windows[-1][0] <= limit_s:
            windows[-1] = (windows[-1][0], end_s)
        else:
            windows.append((start_s, end_s))
    return windows


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start_s, end_s in sorted(intervals):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    return merged


def _padded(speech: Sequence[Interval], bounds: Interval) -> list[Interval]:
    """Each interval with up to `PAD_S` on both sides, never into a neighbour's half of the silence between them."""
    padded: list[Interval] = []
    for index, (start_s, end_s) in enumerate(speech):
        before_s = bounds[0] if index == 0 else (speech[index - 1][1] + start_s) / 2
        after_s = bounds[1] if index == len(speech) - 1 else (end_s + speech[index + 1][0]) / 2
        padded.append((max(before_s, start_s - PAD_S), min(after_s, end_s + PAD_S)))
    return padded


def _pieces(intervals: Iterable[Interval], limit_s: float) -> Iterable[Interval]:
    """Intervals longer than the limit, cut into equal pieces."""
    for start_s, end_s in intervals:
        count = max(1, math.ceil((end_s - start_s) / limit_s))
        cuts = [start_s + (end_s - start_s) * n / count for n in range(count)] + [end_s]
        yield from itertools.pairwise(cuts)


def _without(interval: Interval, taken: Sequence[Interval]) -> Iterable[Interval]:
    at_s, end_s = interval
    for taken_start_s, taken_end_s in taken:
        if taken_end_s <= at_s or taken_start_s >= end_s:
            continue
        if taken_start_s > at_s:
            yield (at_s, taken_start_s)
        at_s = max(at_s, taken_end_s)
    if at_s < end_s:
        yield (at_s, end_s)
