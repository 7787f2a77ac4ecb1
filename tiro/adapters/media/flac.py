"""Spans as bytes and back: FLAC, 16 kHz, mono, 16 bits. Only for what we have decoded ourselves."""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

_FRAME_SAMPLES = 65_536
"""Handed to the encoder at once; it cuts its own frames out of that."""


def encode(samples: Samples) -> bytes:
    """The same samples give the same bytes. What was decoded by us (16 bits) survives exactly."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.codec_context.format = "s16"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for start in range(0, len(samples), _FRAME_SAMPLES):
            pcm = _sixteen_bits(samples[start : start + _FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def read(flac: bytes) -> Samples:
    """What `encode` wrote."""
    with av.open(io.BytesIO(flac), "r", format="flac") as container:
        samples, end = np.empty(container.streams.audio[0].duration or 0, np.float32), 0
        for frame in container.decode(audio=0):
            start, end = end, end + frame.samples
            np.multiply(frame.to_ndarray()[0], np.float32(1 / 32768), out=samples[start:end])
    return samples[:end]


def _sixteen_bits(samples: Samples) -> NDArray[np.int16]:
    scaled = np.multiply(samples, np.float32(32768.0), dtype=np.float32)
    return np.rint(scaled, out=scaled).clip(-32768, 32767, out=scaled).astype(np.int16)
