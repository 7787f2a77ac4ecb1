"""Is a stereo file one conversation per channel, or one recording twice?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiro.adapters.media.protocol import Pcm
from tiro.adapters.media.vad import ENTER, FRAME_SAMPLES, Probabilities

Verdict = Literal["mono", "channels"]

SAME = 0.95
"""Correlation over the windows with speech, above which both channels carry the same."""
_WINDOW_FRAMES = 16
_ENOUGH_WINDOWS = 10
"""About 5 s of speech on either side settle it."""
_LEAK_POWER = 0.01
_LEAK_LIKENESS = 0.5


class ChannelJudge:
    """Listens to both channels until it knows.

    One sum over all windows with speech, not a vote of windows: an echo makes the channels alike while one side speaks, but not over
    both sides' turns. While only one channel has spoken there is no verdict.
    """

    def __init__(self) -> None:
        self._products = np.zeros(3)
        self._heard = np.zeros(2, np.int64)

    @property
    def both_heard(self) -> bool:
        """Whether there was speech in each of the channels."""
        return bool(self._heard.min() > 0)

    @property
    def busier(self) -> int:
        """The channel with more speech so far."""
        return int(self._heard.argmax())

    def push(self, pcm: Pcm, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sound (2, samples) and speech (2, frames). Returns the speech without what is only the other channel leaking over."""
        products = _products(pcm, probabilities.shape[1])
        left, right, both = products
        likeness = np.abs(both) / np.sqrt(np.maximum(left * right, 1.0))
        alike = likeness > _LEAK_LIKENESS
        leaks = np.stack([alike & (left < _LEAK_POWER * right), alike & (right < _LEAK_POWER * left)])
        own = np.where(np.repeat(leaks, _WINDOW_FRAMES, axis=1)[:, : probabilities.shape[1]], 0.0, probabilities)
        own = own.astype(np.float32)
        self._products += products[:, _spoken(probabilities).any(axis=0)].sum(axis=1)
        self._heard += _spoken(own).sum(axis=1)
        return own

    def verdict(self, *, now: bool) -> Verdict | None:
        """None while it is open; with `now`, what the speech so far says, however little of it there is (but of both channels)."""
        if self._heard.min() < (1 if now else _ENOUGH_WINDOWS):
            return None
        left, right, both = self._products
        return "mono" if both > SAME * np.sqrt(left * right) else "channels"


def _spoken(probabilities: Probabilities) -> NDArray[np.bool_]:
    """(channels, windows): whether any frame of the window is speech."""
    frames = probabilities.shape[1]
    whole = np.pad(probabilities, ((0, 0), (0, -frames % _WINDOW_FRAMES)))
    spoken: NDArray[np.bool_] = whole.reshape(2, -1, _WINDOW_FRAMES).max(axis=2) >= ENTER
    return spoken


def _products(pcm: Pcm, frames: int) -> NDArray[np.float64]:
    """(left x left, right x right, left x right) per window, without the mean."""
    size = FRAME_SAMPLES * _WINDOW_FRAMES
    windows = -(-frames // _WINDOW_FRAMES)
    sound = np.pad(pcm, ((0, 0), (0, windows * size - pcm.shape[1]))).reshape(2, windows, size).astype(np.float32)
    sound -= sound.mean(axis=2, keepdims=True)
    left, right = sound
    return np.stack([(left * left).sum(axis=1), (right * right).sum(axis=1), (left * right).sum(axis=1)]).astype(
        np.float64
    )
