"""What a span is stored as comes back exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tests.media_builder import numbered
from tiro.adapters.media import flac


@pytest.mark.parametrize("samples", [0, 1, 4096, 4097, 40_000, 140_000])
def test_sixteen_bits_survive_exactly(samples: int) -> None:
    pcm = np.random.default_rng(samples).integers(-32768, 32768, samples).astype(np.int16)
    sound = pcm.astype(np.float32) / np.float32(32768.0)
    assert np.array_equal(flac.read(flac.encode(sound)), sound)


def test_the_same_samples_give_the_same_bytes() -> None:
    assert flac.encode(numbered(3)) == flac.encode(numbered(3))


def test_what_is_too_loud_is_clipped() -> None:
    assert flac.read(flac.encode(np.array([2.0, -2.0] * 100, np.float32))).tolist()[:2] == [32767 / 32768, -1.0]
