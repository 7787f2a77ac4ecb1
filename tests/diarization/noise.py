"""Spans of a recording in which nobody speaks: a hissing that every pipeline takes."""

from __future__ import annotations

import numpy as np

from tiro.model.media import SAMPLE_RATE_HZ, Span

DURATION_S = 14.0


class Noise:
    """A span of hissing."""

    def __init__(self, index: int, start_s: float, end_s: float) -> None:
        self.span = Span(index, 0, start_s, end_s, ((start_s, end_s),))

    def samples(self) -> np.ndarray:
        size = round((self.span.end_s - self.span.start_s) * SAMPLE_RATE_HZ)
        return np.random.default_rng(self.span.index).normal(0, 0.1, size).astype(np.float32)


SPANS = (Noise(0, 0.0, 8.0), Noise(1, 8.0, DURATION_S))
