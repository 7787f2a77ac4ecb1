"""Recordings made for tests: numbered audio (second n is a tone of 300 + 5n Hz) and other sounds, in every format the service takes."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tiro.adapters.engines.numbered import FIRST_HZ, STEP_HZ, TONES

RATE_HZ = 16_000
DEMO = Path(__file__).parent / "data" / "demo"

Sound = NDArray[np.float32]
"""Shape (samples,) or (channels, samples), -1..1."""


def numbered(seconds: int, first: int = 0, rate_hz: int = RATE_HZ) -> Sound:
    """Seconds `first`, `first` + 1, ... of numbered audio, mono."""
    at_s = np.arange(rate_hz) / rate_hz
    tones = [0.3 * np.sin(2 * np.pi * (FIRST_HZ + STEP_HZ * (n % TONES)) * at_s) for n in range(first, first + seconds)]
    return np.concatenate(tones).astype(np.float32) if tones else np.zeros(0, np.float32)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> Sound:
    return np.zeros(round(seconds * rate_hz), np.float32)


def noise(seconds: float, level: float = 0.1, seed: int = 1, rate_hz: int = RATE_HZ) -> Sound:
    return (
        (np.random.default_rng(seed).standard_normal(round(seconds * rate_hz)) * level).clip(-1, 1).astype(np.float32)
    )


def dialogue() -> Sound:
    """Two people talking, one per channel: (2, samples) at 16 kHz."""
    with av.open(str(DEMO / "dialogue-stereo.flac")) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        pieces = [out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        pieces += [out.to_ndarray() for out in resampler.resample(None)]
    return np.concatenate(pieces, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Format:
    """How a file of this extension is written."""

    container: str
    codec: str
    rate_hz: int = 44_100
    options: dict[str, str] = field(default_factory=dict)
    video: str | None = None


FORMATS: dict[str, Format] = {
    "mp3": Format("mp3", "libmp3lame"),
    "wav": Format("wav", "pcm_s16le", RATE_HZ),
    "m4a": Format("ipod", "aac"),
    "aac": Format("adts", "aac"),
    "ogg": Format("ogg", "libopus", 48_000),
    "opus": Format("opus", "libopus", 48_000),
    "flac": Format("flac", "flac"),
    "webm": Format("webm", "libopus", 48_000, video="libvpx"),
    "mp4": Format("mp4", "aac", 48_000, video="mpeg4"),
    "mov": Format("mov", "pcm_s16le", 48_000, video="mpeg4"),
    "mkv": Format("matroska", "aac", 48_000, video="mpeg4"),
    "avi": Format("avi", "libmp3lame", 44_100, video="mpeg4"),
    "wma": Format("asf", "wmav2"),
    "wmv": Format("asf", "wmav2", video="wmv2"),
}
"""The 13 formats the service names (WMA beside WMV)."""


def encode(sound: Sound, extension: str, *, tracks: int = 1, layout: str | None = None) -> bytes:
    """The sound (16 kHz; one, two or six channels) as a file of that format, beside a small video where the format has one."""
    made = FORMATS[extension]
    channels = np.atleast_2d(sound)
    layout = layout or {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    out = io.BytesIO()
    with av.open(out, "w", format=made.container) as container:
        pictures = container.add_stream(made.video, rate=5) if made.video else None
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        streams = [container.add_stream(made.codec, rate=made.rate_hz, layout=layout) for _ in range(tracks)]
        for stream in streams:
            stream.bit_rate = 64_000 * len(channels)
            stream.codec_context.open()
        if pictures is not None:
            _film(container, pictures)
        for number, stream in enumerate(streams):
            _record(container, stream, channels if number == 0 else channels[:, : RATE_HZ // 2], layout)
    return out.getvalue()


def _film(container: av.container.OutputContainer, stream: av.VideoStream) -> None:
    for number in range(5):
        picture = np.full((48, 64, 3), number * 40, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, 5)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _record(container: av.container.OutputContainer, stream: av.AudioStream, channels: Sound, layout: str) -> None:
    context = stream.codec_context
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
    frame.sample_rate = RATE_HZ
    resampler = av.AudioResampler(
        format=context.format.name, layout=layout, rate=context.sample_rate, frame_size=context.frame_size or 4096
    )
    for ready in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(ready))
    container.mux(stream.encode(None))


def wav(sound: Sound, rate_hz: int = RATE_HZ, *, data_bytes: int | None = None, form: int = 1, bits: int = 16) -> bytes:
    """A WAV by hand, so that it can lie: `data_bytes` is what its length field says, `form` the tag of its encoding (3: float)."""
    channels = np.atleast_2d(sound)
    body = (
        channels.T.astype("<f4").tobytes()
        if form == 3
        else np.rint(channels.T * 32767).clip(-32768, 32767).astype("<i2").tobytes()
    )
    width = 4 if form == 3 else 2
    return (
        wav_header(
            rate_hz,
            len(channels),
            len(body) if data_bytes is None else data_bytes,
            form,
            bits if form != 3 else 32,
            width,
        )
        + body
    )


def wav_header(rate_hz: int, channels: int, data_bytes: int, form: int = 1, bits: int = 16, width: int = 2) -> bytes:
    byte_rate = min(rate_hz * channels * width, 0xFFFFFFFF)
    fmt = struct.pack("<HHIIHH", form, channels, rate_hz, byte_rate, min(channels * width, 0xFFFF), bits)
    riff_bytes = min(36 + data_bytes, 0xFFFFFFFF)
    return b"".join(
        [
            b"RIFF",
            struct.pack("<I", riff_bytes),
            b"WAVEfmt ",
            struct.pack("<I", 16),
            fmt,
            b"data",
            struct.pack("<I", data_bytes),
        ]
    )


def sparse_wav(path: Path, sounds: Sequence[tuple[float, Sound]], duration_s: float) -> None:
    """A long mono WAV that is silent but for these (start_s, sound), without its silence taking room on the disk."""
    data_bytes = round(duration_s * RATE_HZ) * 2
    with path.open("wb") as file:
        file.write(wav_header(RATE_HZ, 1, data_bytes))
        for start_s, sound in sounds:
            file.seek(44 + round(start_s * RATE_HZ) * 2)
            file.write(np.rint(sound * 32767).astype("<i2").tobytes())
        file.truncate(44 + data_bytes)
