"""Which answers of a Whisper model count? faster-whisper's rules, for windows that are decoded apart from each other.

rule of faster-whisper                      here
temperatures 0.0, 0.2 .. 1.0                the beam, then 0.4 and 0.8; five hypotheses each; the first sound one, else the most probable
                                            that does not loop. Nothing is encoded a second time.
compression_ratio_threshold 2.4             the same
log_prob_threshold -1.0                     the same, over the tokens and the end of the text
no_speech_threshold 0.6                     the same: above it, and improbable, is silence
suppress_tokens, suppress_blank             the same
initial_prompt, hotwords                    hotwords before the prompt, both together at most 220 tokens
condition_on_previous_text                  no: windows are decoded in any order (also not in its batched pipeline)
hallucination_silence_threshold (off)       always: what is said where nothing sounds is dropped, not a sure word between two that sound;
                                            so is an anomalous sentence that stands 2 s apart over what is soft for its window; and the same
                                            anomalous word over and over
without_timestamps (off)                    up to 24 s the same, beyond as in its batched pipeline (on): of 4,550 words in files of 12 s
                                            the tests' model heard 2.6 in a hundred wrongly without timestamps, 1.9 with them, for a
                                            twelfth more time
max_initial_timestamp 1.0                   the same
word timestamps                             by alignment; long words at the edges of sentences give silence back (`engines.words`)
language                                    per window, from what was encoded anyway
coverage                                    not here: who asks looks for speech without words, and asks again (`activities.hearing`)
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.adapters.engines.hosts.whisper.mel import FRAMES_A_S
from tiro.model.speech import HeardSegment, HeardWord

COMPRESSION_LIMIT = 2.4
LOGPROB_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
SILENCE_PEAK = 1e-3
APART_S = 2.0
SOFT = 0.03
"""Of the loudest of a window: 30 dB below."""
_NEAR_S = 0.2
_IMPROBABLE = 0.15
_SURE = 0.9
"""Whoever makes up a word in a pause is not as sure of it, as a rule."""
_SHORT_S = 0.133
_LONG_S = 2.0
_REPEATS = 4
_WORDS_LOOKED_AT = 8

Peaks = NDArray[np.float32]
"""The loudest sample of each 10 ms of a window."""


class Attempt(msgspec.Struct, frozen=True):
    """What one decoding of one pass gave. `whole`: it came to its end before the decoder's."""

    tokens: list[int]
    logprob: float
    no_speech: float
    compression: float
    whole: bool = True

    @property
    def sound(self) -> bool:
        """Neither a loop nor a guess; or silence, which is also an answer."""
        return self.silent or (self.compression <= COMPRESSION_LIMIT and self.logprob >= LOGPROB_LIMIT)

    @property
    def silent(self) -> bool:
        return self.no_speech > NO_SPEECH_LIMIT and self.logprob < LOGPROB_LIMIT

    @property
    def certain(self) -> bool:
        """Sound, and of speech: fit to stand where the model did not hear as it was trained to."""
        return self.sound and self.whole and not self.silent


def better(one: Attempt, other: Attempt) -> Attempt:
    """A sound one, else one that does not loop, else the more probable."""
    return max(one, other, key=lambda a: (a.sound, a.compression <= COMPRESSION_LIMIT, a.logprob))


def compression(text: str) -> float:
    """How many times smaller a text can be said: much for a loop."""
    plain = text.strip().encode()
    return len(plain) / len(zlib.compress(plain))


def believable(words: Sequence[HeardWord], peaks: Peaks) -> list[HeardWord]:
    """Without words where nothing sounds, and without the repeats of an anomalous one."""
    sounds = [_loudest(peaks, word.start_s - _NEAR_S, word.end_s + _NEAR_S) >= SILENCE_PEAK for word in words]
    kept: list[HeardWord] = []
    for first, word in enumerate(words):
        # alignment may give a neighbour all the time of a word, and leave it the pause between two
        between = word.confidence >= _SURE and all(sounds[max(0, first - 1) : first] + sounds[first + 1 : first + 2])
        if not sounds[first] and not (between and 0 < first < len(words) - 1):
            continue
        before = words[max(0, first - _REPEATS + 1) : first + 1]
        said = {one.text.strip().casefold() for one in before}
        if len(before) == _REPEATS and len(said) == 1 and anomaly(word) > 0:
            continue
        kept.append(word)
    return kept


def real(segments: Sequence[HeardSegment], peaks: Peaks) -> tuple[HeardSegment, ...]:
    """Without anomalous sentences that stand apart over what is soft for this window."""
    length_s = len(peaks) / FRAMES_A_S
    soft = SOFT * float(peaks.max(initial=0.0))
    ends = [0.0, *(segment.end_s for segment in segments)]
    starts = [*(segment.start_s for segment in segments[1:]), length_s]
    kept = []
    for segment, before_s, after_s in zip(segments, ends, starts, strict=False):
        # the edges of a window count as silence, as in faster-whisper
        left = before_s == 0.0 or segment.start_s - before_s > APART_S
        right = after_s == length_s or after_s - segment.end_s > APART_S
        made_up = _anomalous(segment) and left and right and _loudest(peaks, segment.start_s, segment.end_s) < soft
        if not made_up:
            kept.append(segment)
    return tuple(kept)


def anomaly(word: HeardWord) -> float:
    """How unlike a word that somebody said: improbable, too short or too long."""
    length_s = word.end_s - word.start_s
    improbable = 1.0 if word.confidence < _IMPROBABLE else 0.0
    return improbable + max(0.0, _SHORT_S - length_s) * 15 + max(0.0, length_s - _LONG_S)


def _anomalous(segment: HeardSegment) -> bool:
    words = segment.words[:_WORDS_LOOKED_AT]
    score = sum(map(anomaly, words))
    return score >= 3 or score + 0.01 >= len(words)


def _loudest(peaks: Peaks, start_s: float, end_s: float) -> float:
    return float(peaks[max(0, int(start_s * FRAMES_A_S)) : int(end_s * FRAMES_A_S) + 1].max(initial=0.0))
