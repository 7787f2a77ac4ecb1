"""Recordings made on the spot, as WAV files."""

from __future__ import annotations

import io
import wave

import numpy as np


def tone_wav(seconds: float, level: float = 0.3, rate_hz: int = 16_000) -> bytes:
    """A tone of 440 Hz, mono; `level` 0 is silence."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    pcm = (np.sin(2 * np.pi * 440 * times) * level * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm.tobytes())
    return file.getvalue()
