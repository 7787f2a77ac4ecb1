"""Who spoke when, heard without any model: cepstra and pitch, clustered, then smoothed. Light, deterministic, and modest.

Good at voices that differ clearly (a figure per case: `bench/diarization.py`); voices that are alike, noise and people who speak at once
are beyond it. Memory is a few hundred bytes per second of speech.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.adapters.diarizers.features import STEP_S, WIDTH, Labels, Mask, Matrix, describe
from tiro.adapters.diarizers.turns import diarization, go_on, in_time_order
from tiro.adapters.diarizers.voices import nearest, voices_of, whitening
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import Diarization
from tiro.ports import Samples, SpanAudio

_WINDOW = 15
_HOP = 7
_MIN_STEPS = 4
"""A window with fewer steps of sound is not described."""
_QUIET_DB = 30.0
"""Steps so far below the loudest of their stretch are breath and room."""
_REACH = 5
"""Steps on either side that help to decide a step."""
_TRUST = 0.1
"""Neighbouring steps share most of their sound, so each counts as this part of an observation."""
_CHANGE_COST = 12.0
_CHANGE_COST_AFTER_PAUSE = 4.0


Stored = NDArray[np.float16]
"""Half precision is finer than any two voices differ, and 10 hours stay small."""
Origins = NDArray[np.uint8]
"""(steps, voices): which voice the best path to this one comes from."""


class Speech(msgspec.Struct, frozen=True):
    """A stretch of speech: steps from `start_s`, described (n, 20), and which of them are loud enough to be the voice."""

    start_s: float
    end_s: float
    values: Stored
    loud: Mask


class Acoustic:
    """Finds 1 to 8 voices by itself. The same audio gives the same turns."""

    id = "acoustic"

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Reads each span once, in time order."""
        speech = [stretch for audio in in_time_order(spans) for stretch in _stretches(audio, stop)]
        _fill_pitch(speech)
        windows, follows = _windows(speech)
        if not len(windows):
            return diarization(self.id, [(stretch.start_s, stretch.end_s, 0) for stretch in speech])
        root = whitening(windows, follows)
        centres = voices_of(windows @ root, stop)
        labels = _smoothed(speech, root, centres, stop)
        return diarization(self.id, _turns(speech, labels))

    def close(self) -> None:
        """Nothing is held."""


def _stretches(audio: SpanAudio, stop: threading.Event) -> Iterator[Speech]:
    if not audio.span.speech:
        return
    samples = audio.samples()
    for start_s, end_s in audio.span.speech:
        go_on(stop)
        yield _described(samples, start_s, end_s, audio.span.start_s)


def _described(samples: Samples, start_s: float, end_s: float, offset_s: float) -> Speech:
    first, last = (round((second - offset_s) * SAMPLE_RATE_HZ) for second in (start_s, end_s))
    steps = describe(samples[first:last])
    loud = steps.level_db > np.max(steps.level_db, initial=-np.inf) - _QUIET_DB
    return Speech(start_s, end_s, steps.values.astype(np.float16), loud)


def _fill_pitch(speech: Sequence[Speech]) -> None:
    """Steps without a pitch get, in place, that of their stretch or else of the recording: they say nothing about the throat."""
    known = [pitch for stretch in speech if len(pitch := _known(stretch))]
    usual = float(np.median(np.concatenate(known))) if known else 0.0
    for stretch in speech:
        own = _known(stretch)
        pitch = stretch.values[:, -1]
        pitch[np.isnan(pitch)] = float(np.median(own)) if len(own) else usual


def _known(stretch: Speech) -> Stored:
    pitch = stretch.values[:, -1]
    return pitch[~np.isnan(pitch)]


def _windows(speech: Sequence[Speech]) -> tuple[Matrix, Labels]:
    """(n, 20) means over windows of 1.5 s, and places of windows in one stretch that follow each other without sharing sound."""
    means: list[NDArray[np.float32]] = []
    follows: list[tuple[int, int]] = []
    for stretch in speech:
        begin = len(means)
        for at in range(0, max(len(stretch.values) - _WINDOW, 0) + 1, _HOP):
            loud = stretch.loud[at : at + _WINDOW]
            if loud.sum() >= _MIN_STEPS:
                means.append(stretch.values[at : at + _WINDOW][loud].mean(axis=0, dtype=np.float32))
        follows += [(place, place + 2) for place in range(begin, len(means) - 2)]
    return np.array(means, np.float32).reshape(-1, WIDTH).astype(float), np.array(follows, np.intp).reshape(-1, 2)


def _smoothed(speech: Sequence[Speech], root: Matrix, centres: Matrix, stop: threading.Event) -> list[Labels]:
    """The likeliest voice per step (Viterbi, 1967): a change costs less after a pause than within a stretch."""
    score = np.zeros(len(centres))
    origins: list[Origins] = []
    for stretch in speech:
        go_on(stop)
        gains = -0.5 * _TRUST * nearest(_around(stretch) @ root, centres)
        came = np.zeros(gains.shape, np.uint8)
        for step, gain in enumerate(gains):
            cost = _CHANGE_COST if step else _CHANGE_COST_AFTER_PAUSE
            best = int(np.argmax(score))
            came[step] = np.where(score >= score[best] - cost, np.arange(len(score)), best)
            score = np.maximum(score, score[best] - cost) + gain
            score -= score.max()
        origins.append(came)
    return _traced(origins, int(np.argmax(score)))


def _around(stretch: Speech) -> Matrix:
    """Per step the mean over the loud steps around it."""
    weights = np.where(stretch.loud, 1.0, 1e-3)[:, None]
    values = stretch.values.astype(float)
    sums = np.cumsum(np.vstack([np.zeros((1, WIDTH + 1)), np.hstack([values * weights, weights])]), axis=0)
    places = np.arange(len(stretch.values))
    near = sums[np.minimum(places + _REACH + 1, len(places))] - sums[np.maximum(places - _REACH, 0)]
    means: Matrix = near[:, :-1] / near[:, -1:]
    return means


def _traced(origins: Sequence[Origins], last: int) -> list[Labels]:
    """From the last step back to the first: per stretch the voice of each step."""
    paths: list[Labels] = []
    for came in reversed(origins):
        path = np.zeros(len(came), np.intp)
        for step in range(len(came) - 1, -1, -1):
            path[step] = last
            last = int(came[step, last])
        paths.append(path)
    return paths[::-1]


def _turns(speech: Sequence[Speech], labels: Sequence[Labels]) -> Iterator[tuple[float, float, int]]:
    for stretch, voices in zip(speech, labels, strict=True):
        if not len(voices):
            continue
        borders = np.flatnonzero(np.diff(voices)) + 1
        starts = [stretch.start_s, *(stretch.start_s + border * STEP_S for border in borders)]
        names = [int(voices[place]) for place in (0, *borders)]
        yield from zip(starts, [*starts[1:], stretch.end_s], names, strict=True)
