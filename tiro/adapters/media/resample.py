"""From decoded frames of any kind to 16 kHz int16: one channel, or the two of a stereo recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from tiro.adapters.media.protocol import BLOCK_SAMPLES, Pcm
from tiro.model.errors import MediaRefused
from tiro.model.media import SAMPLE_RATE_HZ

RATES_HZ = range(4_000, 384_001)
CHANNELS = range(1, 33)
_BATCH_SAMPLES = 32_768
"""Frames are joined to this before resampling: a filter call per codec frame costs more than the decoding."""


class Resampler:
    """Takes frames in any rate, format and layout, also when these change on the way; gives arrays (channels, n).

    Rate and channels are checked before anything is allocated for them: MediaRefused `decode_failed`.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._kind: tuple[str, str, int] | None = None
        self._fifo = av.AudioFifo()
        self._graph = av.AudioResampler(format="flt", rate=SAMPLE_RATE_HZ)

    def push(self, frame: av.AudioFrame) -> Iterator[Pcm]:
        """What is ready after this frame."""
        check(frame.sample_rate, frame.layout.nb_channels)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            yield from self.flush()
            self._kind = kind
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= _BATCH_SAMPLES:
            yield from self._through(self._fifo.read(_BATCH_SAMPLES))

    def flush(self) -> Iterator[Pcm]:
        """What was held back."""
        if self._kind is None:
            return
        if self._fifo.samples:
            yield from self._through(self._fifo.read(0, partial=True))
        yield from self._through(None)
        self._kind = None
        self._fifo = av.AudioFifo()
        self._graph = av.AudioResampler(format="flt", rate=SAMPLE_RATE_HZ)

    def _through(self, frame: av.AudioFrame | None) -> Iterator[Pcm]:
        for ready in self._graph.resample(frame):
            # interleaved: PyAV reads past the end of the plane table when a planar frame has eight channels or more
            interleaved = cast("NDArray[np.float32]", ready.to_ndarray())
            sound = interleaved.reshape(-1, ready.layout.nb_channels).T
            pcm = _int16(_mixed(_plain(sound), self._channels))
            for start in range(0, pcm.shape[1], BLOCK_SAMPLES):
                yield pcm[:, start : start + BLOCK_SAMPLES]


def check(rate_hz: int, channels: int) -> None:
    """Raises MediaRefused `decode_failed` for what no recording has."""
    if rate_hz not in RATES_HZ or channels not in CHANNELS:
        raise MediaRefused("decode_failed")


def _plain(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finite, -1..1."""
    if np.isfinite(samples).all():
        return samples.clip(-1.0, 1.0)
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)


def _mixed(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Two channels to one by their mean; more by their sum over the root of their number, so that a voice in one of them stays loud."""
    if len(samples) == channels:
        return samples
    mono = samples.mean(axis=0) if len(samples) <= 2 else (samples.sum(axis=0) / len(samples) ** 0.5).clip(-1.0, 1.0)
    return np.broadcast_to(mono, (channels, samples.shape[1]))


def _int16(samples: NDArray[np.float32]) -> Pcm:
    scaled = np.multiply(samples, np.float32(32768.0), dtype=np.float32)
    pcm: Pcm = np.rint(scaled, out=scaled).clip(-32768, 32767, out=scaled).astype(np.int16)
    return pcm
