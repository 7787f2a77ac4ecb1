"""What do shared passes and short contexts save of Whisper's 30 s, and what do they cost in words? `python -m bench.contexts`.

Windows of 3, 6, 12 and 20 s of the tests' small model, each alone in a pass of 30 s against the same in company, in one process: word
error rates, CPU seconds per minute of audio. `--sentences N` of each length. The exit code says whether no more than 0.2 words in a
hundred are wrong beyond those that are wrong alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np

from bench.turns import report, word_errors
from tiro.adapters.engines.hosts.whisper import load
from tiro.adapters.engines.hosts.whisper.model import WhisperModel
from tiro.adapters.media import flac
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions
from tiro.ports import Samples

_WORDS = Path(__file__).parents[1] / "tests" / "data" / "whisper-words"
_LENGTHS_S = (3, 6, 12, 20)
_TOGETHER = 16
_PARITY = 0.2
_SILENCE = 0.01
_PAUSE = 5_600
_EDGE = 2_400
Window = tuple[list[str], Samples]


def spoken() -> list[Window]:
    """The sentences that the small model is tested with, each for itself."""
    texts = json.loads((_WORDS / "spoken.json").read_text())["text"]
    sound = flac.read((_WORDS / "spoken.flac").read_bytes())
    loud = np.flatnonzero(np.abs(sound) > _SILENCE)
    cuts = np.flatnonzero(np.diff(loud) > _PAUSE)
    firsts, lasts = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, len(loud) - 1]]
    if len(firsts) != len(texts):
        raise SystemExit(f"{len(firsts)} sentences were found, {len(texts)} were spoken")
    pieces = [sound[max(0, a - _EDGE) : b + _EDGE] for a, b in zip(firsts, lasts, strict=True)]
    return [(text.split(), piece) for text, piece in zip(texts, pieces, strict=True)]


def windows(sentences: list[Window], length_s: int, count: int) -> Iterator[Window]:
    """Sentences in ever new orders, joined up to this length."""
    order = np.random.default_rng(length_s)
    for _ in range(count):
        words: list[str] = []
        pieces: list[Samples] = []
        for n in order.permutation(len(sentences)):
            said, piece = sentences[n]
            if sum(map(len, pieces)) + len(piece) <= length_s * SAMPLE_RATE_HZ:
                words, pieces = words + said, [*pieces, piece]
        yield words, np.concatenate(pieces)


def heard(model: WhisperModel, given: list[Window], together: int) -> tuple[float, float]:
    """Word error rate in points, CPU seconds per minute of audio."""
    began_s, wrong = time.process_time(), 0.0
    for first in range(0, len(given), together):
        batch = given[first : first + together]
        answers = model.transcribe(model.prepare([sound for _, sound in batch]), EngineOptions(language="en"))
        for (said, _), answer in zip(batch, answers, strict=True):
            words = [word.text for segment in answer.segments for word in segment.words]
            wrong += word_errors(words, said) * len(said)
    minutes = sum(len(sound) for _, sound in given) / SAMPLE_RATE_HZ / 60
    return 100 * wrong / sum(len(said) for said, _ in given), (time.process_time() - began_s) / minutes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=60)
    options = parser.parse_args()
    full, short = (load(str(_WORDS), "whisper_words", "cpu", "int8", context=one) for one in ("full", "short"))
    sentences, missed = spoken(), 0
    for length_s in _LENGTHS_S:
        given = list(windows(sentences, length_s, options.sentences))
        alone = heard(full, given, 1)
        print(f"{length_s} s, alone: {alone[0]:.2f} % wrong, {alone[1]:.2f} CPU s per minute of audio", flush=True)
        for name, model in (("shared passes", full), ("short contexts", short)):
            rate, cpu_s = heard(model, given, _TOGETHER)
            kept = rate <= alone[0] + _PARITY
            note = f"{rate:.2f} % wrong, {cpu_s:.2f} CPU s per minute of audio"
            what = f"{length_s} s, {name} / alone, CPU"
            missed |= report("contexts", what, [cpu_s / alone[1]], f"words within {_PARITY} points", kept, note)
    return missed


if __name__ == "__main__":
    sys.exit(main())
