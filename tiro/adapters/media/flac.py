"""Spans as bytes and back: FLAC, 16 kHz, mono, 16 bits. Only for what we have decoded ourselves."""

from __future__ import annotations

import io

import av
import numpy as np

from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

_FRAME_SAMPLES = 65_536
"""Handed to the encoder at once; it cuts its own frames out of that."""


def encode(samples: Samples) -> bytes:
    """The same samples give the same bytes. What was decoded by us (16 bits) survives exactly."""
    scaled = np.multiply(samples, np.float32(32768.0), dtype=np.float32)
    pcm = np.rint(scaled, out=scaled).clip(-32768, 32767, out=scaled).astype(np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.codec_context.format = "s16"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for start in range(0, len(pcm), _FRAME_SAMPLES):
            frame = av.AudioFrame.from_ndarray(pcm[None, start : start + _FRAME_SAMPLES], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def read(flac: bytes) -> Samples:
    """What `encode` wrote."""
    with av.open(io.BytesIO(flac), "r", format="flac") as container:
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    samples = np.empty(sum(map(len, blocks)), np.float32)
    np.concatenate(blocks or [samples], out=samples, casting="unsafe")
    samples *= np.float32(1 / 32768)
    return samples
