"""What does a voice sound like? Steps of a tenth of a second, described by cepstra (the mouth) and pitch (the throat).

MFCC after Davis and Mermelstein (1980) with the mel scale of O'Shaughnessy; pitch by the peak of the autocorrelation (Rabiner, 1977).
Numpy only: the same samples give the same numbers.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

Matrix = NDArray[np.float64]
Labels = NDArray[np.intp]
Mask = NDArray[np.bool_]

STEP_S = 0.1
CEPSTRA = 19
WIDTH = CEPSTRA + 1
"""Numbers per step: cepstra and log pitch."""

_HOP = 160
_FRAME = 400
_FFT = 512
_FRAMES_PER_STEP = round(STEP_S * SAMPLE_RATE_HZ / _HOP)
_MELS = 30
_LAGS = (40, 267)
"""400 Hz to 60 Hz."""
_VOICED = 0.45
_BLOCK_FRAMES = 3_000


class Steps(msgspec.Struct, frozen=True):
    """Steps one after the other. `values`: (n, 20), cepstra and log pitch (NaN where nothing is voiced); `level_db`: (n,), how loud."""

    values: Matrix
    level_db: Matrix


def describe(samples: Samples) -> Steps:
    """The steps of a stretch of audio, its last one cut short if need be; at least one frame (25 ms) makes a step."""
    frames = max(1 + (len(samples) - _FRAME) // _HOP, 0)
    if not frames:
        return Steps(np.zeros((0, WIDTH)), np.zeros(0))
    emphasized = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(emphasized, _FRAME)[::_HOP]
    blocks = [_frames(windows[at : at + _BLOCK_FRAMES]) for at in range(0, frames, _BLOCK_FRAMES)]
    return _steps(*(np.concatenate(pieces) for pieces in zip(*blocks, strict=True)))


def _frames(windows: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Per frame: cepstra, log pitch, how periodic it is (0..1), power."""
    power = np.abs(np.fft.rfft(windows * _HAMMING, _FFT)) ** 2
    cepstra = np.log(power @ _MEL_BANK + 1e-9) @ _DCT
    correlation = np.fft.irfft(power, _FFT)[:, : _LAGS[1]] / _WINDOW_CORRELATION
    inside = correlation[:, _LAGS[0] :]
    lags = _LAGS[0] + np.argmax(inside, axis=1)
    periodic = np.max(inside, axis=1) / np.maximum(correlation[:, 0], 1e-9)
    return cepstra, np.log(SAMPLE_RATE_HZ / lags), periodic, power.sum(axis=1)


def _steps(cepstra: Matrix, pitch: Matrix, periodic: Matrix, power: Matrix) -> Steps:
    starts = np.arange(0, len(cepstra), _FRAMES_PER_STEP)
    weights = np.maximum(power, 1e-12)[:, None] ** 0.25
    total = np.add.reduceat(weights, starts)
    voiced = periodic > _VOICED
    counts = np.add.reduceat(voiced.astype(np.float64), starts)
    frames = np.diff(np.append(starts, len(cepstra)))
    with np.errstate(invalid="ignore"):
        log_pitch = np.add.reduceat(np.where(voiced, pitch, 0.0), starts) / np.where(counts > 0, counts, np.nan)
    values = np.column_stack([np.add.reduceat(cepstra * weights, starts) / total, log_pitch])
    return Steps(values, 10 * np.log10(np.add.reduceat(power, starts) / frames + 1e-12))


def _mel_bank() -> Matrix:
    """Triangles from power bins to mel bands, 60 Hz to 7.6 kHz."""
    low, high = (1127 * np.log1p(hertz / 700) for hertz in (60, 7_600))
    edges = 700 * np.expm1(np.linspace(low, high, _MELS + 2) / 1127)
    bins = np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    bank: Matrix = np.maximum(0, np.minimum(rising, falling))
    return bank


def _dct() -> Matrix:
    """Mel bands to cepstra 1..19; cepstrum 0, the loudness, is left out."""
    bands = np.arange(_MELS) + 0.5
    waves: Matrix = np.cos(np.pi / _MELS * bands[:, None] * np.arange(1, CEPSTRA + 1)) * np.sqrt(2 / _MELS)
    return waves


def _window_correlation() -> Matrix:
    spectrum = np.abs(np.fft.rfft(_HAMMING, 2 * _FFT)) ** 2
    correlation = np.fft.irfft(spectrum)[: _LAGS[1]]
    share: Matrix = correlation / correlation[0]
    return share


_HAMMING = np.hamming(_FRAME)
_MEL_BANK = _mel_bank()
_DCT = _dct()
_WINDOW_CORRELATION = _window_correlation()
