"""Which seconds of "numbered audio" a window holds: second n of it is a tone of 300 + 5n Hz, n in 0..1199 (then again from 0).

Every tone has whole cycles in a second, so it starts with phase 0. Where two neighbouring tones meet, their phases are equal; that
point is found to a sample, and so a second that a cut divides belongs to exactly one window: the one that holds its middle.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import HeardWord
from tiro.ports import Samples

FIRST_HZ = 300
STEP_HZ = 5
TONES = 1200

_FRAME = 2048
_HOP = 1600
_LISTEN_S = 0.25
_SHORTEST_S = 0.06
_SILENCE_RMS = 0.003
_PURITY = 0.5
"""Share of a frame's energy that lies in its peak; speech and noise stay under it."""
_MEETINGS = 6
_GAP_FRAMES = 4


def hear(samples: Samples) -> list[HeardWord]:
    """The word `w<n>` for each second of numbered audio whose middle lies in the window, with its time there."""
    grid = _grid(samples)
    if grid is None:
        return _alone(samples)
    words = []
    for start in range(grid - SAMPLE_RATE_HZ, len(samples), SAMPLE_RATE_HZ):
        middle = start + SAMPLE_RATE_HZ // 2
        tone = _tone(_around(samples, middle)) if 0 <= middle < len(samples) else None
        if tone is not None:
            words.append(_word(tone, max(0, start), min(len(samples), start + SAMPLE_RATE_HZ)))
    return words


def _word(tone: int, start: int, end: int) -> HeardWord:
    return HeardWord(f"w{tone}", round(start / SAMPLE_RATE_HZ, 3), round(end / SAMPLE_RATE_HZ, 3), 1.0)


def _alone(samples: Samples) -> list[HeardWord]:
    """No two tones meet in the window: a single second, or none."""
    tone = _tone(_around(samples, len(samples) // 2))
    if tone is None:
        return []
    sounding = np.flatnonzero(np.abs(samples) > _SILENCE_RMS)
    start, end = int(sounding[0]), int(sounding[-1]) + 1
    return [_word(tone, start, end)] if end - start > SAMPLE_RATE_HZ // 2 else []


def _grid(samples: Samples) -> int | None:
    """Where the first whole second begins, in samples, from the places where neighbouring tones meet; None when none do.

    Whole samples, so that a cut in the very middle of a second falls the same way on both of its sides.
    """
    tones = _frame_tones(samples)
    heard = np.flatnonzero(tones >= 0)
    near = np.diff(heard) <= _GAP_FRAMES
    changes = np.flatnonzero(near & (np.diff(tones[heard]) == 1))
    if not len(changes):
        return None
    picked = changes[np.linspace(0, len(changes) - 1, min(_MEETINGS, len(changes))).astype(int)]
    middles_s = ((heard[picked] + heard[picked + 1]) / 2 * _HOP + _FRAME / 2) / SAMPLE_RATE_HZ
    places = [_meeting(samples, int(tones[heard[at]]), float(s)) for at, s in zip(picked, middles_s, strict=True)]
    # a mean on the circle, since 0.999 and 0.001 are neighbours
    turns = np.exp(2j * np.pi * np.array(places))
    middle = np.exp(1j * float(np.angle(turns.mean())))
    spread = float(np.median(np.angle(turns / middle)))
    seconds = float(np.angle(middle) + spread) / (2 * math.pi) % 1.0
    return round(seconds * SAMPLE_RATE_HZ) % SAMPLE_RATE_HZ


def _frame_tones(samples: Samples) -> NDArray[np.int64]:
    """The tone in each frame, -1 where there is none."""
    if len(samples) < _FRAME:
        return np.empty(0, np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    return _tones(frames)


def _tones(frames: NDArray[np.float32]) -> NDArray[np.int64]:
    size = frames.shape[1]
    power = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), n=max(size, _FRAME), axis=1)) ** 2
    width = math.ceil(4 * max(size, _FRAME) / size / 2)
    peak = power[:, width:-width].argmax(axis=1) + width
    rows = np.arange(len(frames))
    around = np.stack([power[rows, peak + offset] for offset in range(-width, width + 1)])
    left, middle, right = (np.log(power[rows, peak + offset] + 1e-20) for offset in (-1, 0, 1))
    curve = left - 2 * middle + right
    shift = np.divide(left - right, 2 * curve, out=np.zeros_like(curve), where=np.abs(curve) > 1e-9)
    hz = (peak + shift) * SAMPLE_RATE_HZ / max(size, _FRAME)
    tones = np.rint((hz - FIRST_HZ) / STEP_HZ).astype(np.int64)
    loud = np.sqrt((frames**2).mean(axis=1)) > _SILENCE_RMS
    pure = around.sum(axis=0) > _PURITY * power.sum(axis=1)
    return np.where(loud & pure & (tones >= 0) & (tones < TONES), tones, -1)


def _around(samples: Samples, middle: int) -> Samples:
    """A quarter of a second about this place, moved where the window ends sooner; it stays within the same second."""
    size = min(round(_LISTEN_S * SAMPLE_RATE_HZ), len(samples))
    start = min(max(middle - size // 2, 0), len(samples) - size)
    return samples[start : start + size]


def _tone(samples: Samples) -> int | None:
    if len(samples) < _SHORTEST_S * SAMPLE_RATE_HZ:
        return None
    tone = int(_tones(samples[None, :])[0])
    return tone if tone >= 0 else None


def _meeting(samples: Samples, tone: int, about_s: float) -> float:
    """The time near `about_s` at which this tone and the next have the same phase; it recurs every 1/5 s, so the guess may be 0.1 s off."""
    before = _phase(samples, FIRST_HZ + STEP_HZ * tone, about_s - 0.35)
    after = _phase(samples, FIRST_HZ + STEP_HZ * (tone + 1), about_s + 0.10)
    if before is None or after is None:
        return about_s
    place_s = (before - after) / (2 * math.pi * STEP_HZ)
    period_s = 1 / STEP_HZ
    return place_s + period_s * round((about_s - place_s) / period_s)


def _phase(samples: Samples, hz: float, from_s: float) -> float | None:
    """Phase, at the window's start, of this frequency as heard in a quarter of a second from `from_s`."""
    start = max(0, round(from_s * SAMPLE_RATE_HZ))
    piece = samples[start : round((from_s + _LISTEN_S) * SAMPLE_RATE_HZ)]
    if len(piece) < _SHORTEST_S * SAMPLE_RATE_HZ:
        return None
    times_s = (start + np.arange(len(piece))) / SAMPLE_RATE_HZ
    return float(np.angle(np.sum(piece * np.hanning(len(piece)) * np.exp(-2j * np.pi * hz * times_s))))
