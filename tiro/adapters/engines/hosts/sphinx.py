"""Pocketsphinx inside a model host: English words with times and posteriors, one window at a time."""

from __future__ import annotations

import math
import re

import numpy as np
import pocketsphinx

from tiro.adapters.engines.words import segments
from tiro.model.speech import EngineOptions, Heard, HeardSegment, HeardWord
from tiro.ports import Samples

_FRAME_S = 0.01
_PAUSE_S = 0.6
_SILENCE_PEAK = 1e-3
_NOT_WORDS = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


def load() -> SphinxModel:
    return SphinxModel()


class SphinxModel:
    """One decoder, told to forget between windows, so that the same window gives the same words."""

    name = "pocketsphinx_en_us"

    def __init__(self) -> None:
        # its default beams: wider ones took twice the time and heard the same words
        self._decoder = pocketsphinx.Decoder(loglevel="FATAL")
        self._cmn = self._decoder.get_cmn()

    def prepare(self, windows: list[Samples]) -> list[Samples]:
        """The decoder makes its features as it goes."""
        return windows

    def transcribe(self, prepared: list[Samples], options: EngineOptions) -> list[Heard]:
        return [Heard(self._segments(window), "en") for window in prepared]

    def detect(self, prepared: list[Samples]) -> list[dict[str, float]]:
        return [{"en": 1.0} for _ in prepared]

    def _segments(self, window: Samples) -> tuple[HeardSegment, ...]:
        if not len(window) or float(np.abs(window).max()) < _SILENCE_PEAK:
            return ()
        decoder = self._decoder
        decoder.set_cmn(self._cmn)
        decoder.start_stream()
        decoder.start_utt()
        decoder.process_raw(_pcm(window), full_utt=True)
        decoder.end_utt()
        length_s = len(window) / 16_000
        words = [_word(seg, length_s) for seg in decoder.seg() or () if not _NOT_WORDS.match(seg.word)]
        return segments(words, _PAUSE_S)


def _pcm(window: Samples) -> bytes:
    return (np.clip(window, -1, 1) * 32767).astype(np.int16).tobytes()


def _word(seg: pocketsphinx.Segment, length_s: float) -> HeardWord:
    start_s = min(seg.start_frame * _FRAME_S, length_s)
    end_s = min((seg.end_frame + 1) * _FRAME_S, length_s)
    # the posterior in the lattice, in logarithms of base 1.0001
    confidence = min(1.0, math.exp(seg.prob * math.log(1.0001)))
    return HeardWord(" " + _VARIANT.sub("", seg.word), round(start_s, 3), round(end_s, 3), round(confidence, 4))
