"""Which windows share a pass of the encoder, where do they lie in it, and whose is a word that was heard there?

What holds: a window's features are its own, whoever shares its pass; a window alone in its pass is heard as if there were no others. In a
shared pass the model hears the others too: that the words stay the same is likely, not certain, and the doubtful are heard again alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from tiro.adapters.engines.hosts.whisper.mel import FRAMES_A_S, Mel
from tiro.adapters.engines.hosts.whisper.quality import SOFT, Peaks

FULL = 3000
"""Frames that Whisper was trained on: 30 s."""
GAP = 75
"""Frames of silence between windows of a pass."""
_SHARED = 1300
_SHARES = 300
"""Frames that windows may share, and frames of one that may. Windows of 3 s were heard as well as alone, for three quarters of the
cost; those of 6 s were not: 2.8 % of the words wrong against 1.5 %, by the model of the tests, and they cost more."""
_MARGIN = 100
_STEP = 100
"""A window's own context: its length and this margin, in whole seconds, so that some are alike and share a batch. Margins of 2 and of
4 s were heard no better."""
_LONGEST = 2000
"""Beyond it a context of its own saves less than hearing the doubtful again costs."""
_SHORTEST = 400
"""CTranslate2 takes an encoder's output of as many frames as there are mels for features."""
_STRADDLES_S = 0.25
_INSIDE_S = 0.1
"""In a shared pass a word that lies less in its window's sound may be the next one's first: alignment begins it where the word before
it ends."""
_NO_TIME_S = 0.04
_IMPROBABLE = 0.8
_IMPROBABLE_ALONE = 0.5
"""Of a word in a shared pass, and in a short context. There a quarter of the windows of 12 s are heard again, and 1.8 of 100 words are
wrong, 1.9 if each is heard alone (16,300 words); with 0.8 it is two fifths, and no word better. Without any, windows of 6 s lose: 1.4
are wrong, 1.1 with it and 1.1 alone (1,140 words).
"""
_UNHEARD = 45
"""Frames of sound between two words, or after the last: in a short context a model may stop early, sure of every word before."""
_NEAR = 20
"""Frames about a word that are the word's, too."""
_LONG_WORD = 120
_LONG_LAST = 75
"""Frames of sound in one word, and from where the last begins: alignment may give it all that follows."""


class Place(msgspec.Struct, frozen=True):
    """A window (its number in the batch) from this frame of a pass, so many frames long."""

    window: int
    start: int
    size: int


class Pass(msgspec.Struct, frozen=True):
    """Windows that are encoded together, in `frames` of features."""

    places: tuple[Place, ...]
    frames: int = FULL

    @property
    def alone(self) -> bool:
        """One window in the 30 s that the model knows: its answer is the last word."""
        return len(self.places) == 1 and self.frames == FULL

    @property
    def size(self) -> int:
        """Frames that are not padding."""
        return self.places[-1].start + self.places[-1].size


def alone(windows: Mapping[int, int]) -> list[Pass]:
    """A pass of 30 s for each window (number -> frames)."""
    return [Pass((Place(window, 0, size),)) for window, size in windows.items()]


def short(windows: Mapping[int, int]) -> list[Pass]:
    """A pass for each window, as long as itself and a margin, unless that is nearly 30 s anyway."""
    return [Pass((Place(window, 0, size),), _own(size)) for window, size in windows.items()]


def _own(size: int) -> int:
    frames = max(_SHORTEST, -(-(size + _MARGIN) // _STEP) * _STEP)
    return frames if frames <= _LONGEST else FULL


def shared(windows: Mapping[int, int]) -> list[Pass]:
    """Passes of 30 s that the shortest of these windows share in order, apart by silence."""
    rows: list[list[Place]] = []
    for window, size in windows.items():
        start = rows[-1][-1].start + rows[-1][-1].size + GAP if rows else 0
        if rows and max(size, rows[-1][-1].size) <= _SHARES and start + size <= _SHARED:
            rows[-1].append(Place(window, start, size))
        else:
            rows.append([Place(window, 0, size)])
    return [Pass(tuple(row)) for row in rows]


def features(one: Pass, mels: Sequence[Mel]) -> Mel:
    """Its windows' features; between them what each window's silence looks like, behind them zeros."""
    laid = np.zeros((len(mels[one.places[0].window]), one.frames), np.float32)
    for place in one.places:
        mel = mels[place.window][:, : place.size]
        if place.start:
            laid[:, place.start - GAP : place.start] = mel.min()
        laid[:, place.start : place.start + mel.shape[1]] = mel
    return laid


Aligned = Mapping[str, Any]
"""A word as faster-whisper aligns it: word, start, end, probability."""


def divided(
    words: Sequence[Aligned], one: Pass, peaks: Mapping[int, Peaks]
) -> tuple[dict[int, list[dict[str, Any]]], set[int]]:
    """The words of each window, in its own time, and the windows that are to be heard again.

    A word is the window's in whose sound it ends: alignment begins a word after silence early, but ends it where it ends.
    """
    sounds = [_sound(place, peaks[place.window]) for place in one.places]
    heard: dict[int, list[dict[str, Any]]] = {place.window: [] for place in one.places}
    doubted: set[int] = set()
    owner = len(sounds) - 1
    improbable, least_s = (_IMPROBABLE, _INSIDE_S) if owner else (_IMPROBABLE_ALONE, 0.0)
    for word in reversed(words):
        start_s, end_s = float(word["start"]), float(word["end"])
        # a word that got no time lies in a gap, before the one to which the time was given
        if end_s - start_s >= _NO_TIME_S:
            owner = max((n for n in range(owner + 1) if sounds[n][0] + 0.1 < end_s), default=0)
        inside_s = _overlap_s(start_s, end_s, sounds[owner])
        before_s = _overlap_s(start_s, end_s, sounds[owner - 1]) if owner else 0.0
        if inside_s <= 0 or inside_s < min(least_s, end_s - start_s) or before_s > _STRADDLES_S:
            doubted |= {max(0, owner - 1), owner, min(len(sounds) - 1, owner + 1)}
        if word["probability"] < improbable:
            doubted.add(owner)
        place = one.places[owner]
        moved_s = place.start / FRAMES_A_S
        heard[place.window].insert(0, {**word, "start": start_s - moved_s, "end": end_s - moved_s})
    for n, place in enumerate(one.places):
        if not heard[place.window] or _unheard(heard[place.window], peaks[place.window]):
            doubted |= {max(0, n - 1), n, min(len(sounds) - 1, n + 1)}
    return heard, {one.places[n].window for n in doubted}


def _unheard(words: Sequence[Aligned], peaks: Peaks) -> bool:
    """Whether something sounds for long in a window where none of its words lies, or in a single word."""
    sounds = peaks > SOFT * peaks.max(initial=0.0)

    def sounding(first: int, last: int) -> int:
        return int(sounds[max(0, first) : max(0, last)].sum())

    at = 0
    for word in words:
        first, last = int(word["start"] * FRAMES_A_S), int(word["end"] * FRAMES_A_S)
        if sounding(at, first - _NEAR) > _UNHEARD or sounding(first, last) > _LONG_WORD:
            return True
        at = last + _NEAR
    whole, behind = (sounding(int(words[-1][edge] * FRAMES_A_S), len(sounds)) for edge in ("start", "end"))
    return whole > _LONG_LAST or behind > _UNHEARD


def _sound(place: Place, peaks: Peaks) -> tuple[float, float]:
    """From its first to its last sound that is not soft, in seconds of the pass."""
    loud = np.flatnonzero(peaks > SOFT * peaks.max(initial=0.0))
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, place.size)
    return (place.start + first) / FRAMES_A_S, (place.start + last) / FRAMES_A_S


def _overlap_s(start_s: float, end_s: float, sound: tuple[float, float]) -> float:
    return min(end_s, sound[1]) - max(start_s, sound[0])
