"""Numbered audio comes back exactly: no second lost, none doubled, wherever it is cut and however it was coded."""

from __future__ import annotations

import io
import itertools
import random

import av
import numpy as np
import pytest

from tiro.adapters.engines.numbered import hear

RATE_HZ = 16_000


def numbered(first: int, count: int, fade_s: float = 0.0) -> np.ndarray:
    numbers = np.arange(first, first + count)[:, None]
    times_s = np.arange(RATE_HZ)[None, :] / RATE_HZ
    audio = 0.3 * np.sin(2 * np.pi * (300 + 5 * (numbers % 1200)) * times_s)
    if fade_s:
        ramp = np.clip(np.minimum(times_s, 1 - times_s) / fade_s, 0, 1)
        audio = audio * ramp
    return audio.reshape(-1).astype(np.float32)


def coded(samples: np.ndarray, container: str, codec: str, rate_hz: int) -> np.ndarray:
    """There and back through a codec; the decoder's delay stays in."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate_hz)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frames = [*resampler.resample(frame), *resampler.resample(None)]
        fifo = av.AudioFifo()
        for piece in frames:
            piece.pts = None
            fifo.write(piece)
        size = stream.codec_context.frame_size or 4096
        while piece := fifo.read(size, partial=True):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    back = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(file) as coming:
        pieces = [p.to_ndarray()[0] for f in coming.decode(audio=0) for p in back.resample(f)]
        pieces += [p.to_ndarray()[0] for p in back.resample(None)]
    return np.concatenate(pieces)


def heard(samples: np.ndarray, cuts: list[int]) -> list[str]:
    bounds = [0, *cuts, len(samples)]
    return [word.text for start, end in itertools.pairwise(bounds) for word in hear(samples[start:end])]


@pytest.mark.parametrize("fade_s", [0.0, 0.02])
def test_every_second_of_twenty_minutes_is_heard_once_at_any_cut(fade_s):
    samples = numbered(0, 1200, fade_s)
    chance = random.Random(fade_s)
    places = sorted(chance.sample(range(1, 120), 50))
    cuts = [place * 160_000 + chance.choice([0, 1, 8_000, 7_999, 8_001, 4_321]) for place in places]
    assert heard(samples, cuts) == [f"w{n}" for n in range(1200)]


@pytest.mark.parametrize("first", [0, 1150])
@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [("flac", "flac", 16_000), ("mp3", "libmp3lame", 44_100), ("adts", "aac", 48_000)],
)
def test_numbers_survive_a_codec(container, codec, rate_hz, first):
    samples = coded(numbered(first, 50), container, codec, rate_hz)
    assert heard(samples, [100_000, 290_000, 480_000]) == [f"w{n}" for n in range(first, first + 50)]


def test_words_have_the_time_of_their_second():
    words = hear(numbered(40, 10)[4_000:])
    assert [(w.text, w.start_s, w.end_s) for w in words[:2]] == [("w40", 0.0, 0.75), ("w41", 0.75, 1.75)]


def test_a_second_whose_middle_is_outside_is_not_heard():
    assert [w.text for w in hear(numbered(5, 4)[8_001:-8_001])] == ["w6", "w7"]


@pytest.mark.parametrize(
    "samples", [np.zeros(RATE_HZ * 3), np.random.default_rng(1).normal(0, 0.1, RATE_HZ * 3), np.zeros(0), np.ones(10)]
)
def test_silence_and_noise_give_nothing(samples):
    assert hear(samples.astype(np.float32)) == []
