"""What does Whisper's encoder see of a sound? Log-mel features, the same as faster-whisper's, in half the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiro.ports import Samples

Mel = NDArray[np.float32]
"""Mels x frames."""

HOP = 160
FRAMES_A_S = 100
SHORTEST = 1600
"""Samples; what is shorter is taken for that long."""
_SIZE = 400
_AT_ONCE = 256
"""Frames whose spectrum fits a core's cache."""
_WINDOW = np.hanning(_SIZE + 1)[:-1].astype(np.float32)


def log_mel(window: Samples, filters: Mel) -> Mel:
    """A frame each 10 ms, from -1 or so to 1.5; the loudest of this window decides what is too soft to be seen."""
    # 10 ms of silence follow, and both ends are mirrored, as in faster-whisper's extractor
    sound = np.pad(window, (0, max(0, SHORTEST - len(window)) + HOP))
    sound = np.pad(sound, _SIZE // 2, mode="reflect")
    pieces = np.lib.stride_tricks.sliding_window_view(sound, _SIZE)[::HOP][:-1]
    mel = np.empty((len(filters), len(pieces)), np.float32)
    for first in range(0, len(pieces), _AT_ONCE):
        spectrum = np.fft.rfft(pieces[first : first + _AT_ONCE] * _WINDOW)
        power = spectrum.real**2 + spectrum.imag**2
        mel[:, first : first + _AT_ONCE] = filters @ power.T
    np.log10(np.maximum(mel, 1e-10, out=mel), out=mel)
    np.maximum(mel, mel.max() - 8.0, out=mel)
    return (mel[:, :-1] + np.float32(4.0)) / np.float32(4.0)


def peaks(window: Samples) -> NDArray[np.float32]:
    """The loudest sample of each frame."""
    whole = len(window) // HOP * HOP
    loudest: NDArray[np.float32] = np.abs(window[:whole]).reshape(-1, HOP).max(axis=1, initial=0.0)
    return loudest
