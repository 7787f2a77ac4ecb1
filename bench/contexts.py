"""What do shared passes and short contexts save of Whisper's 30 s, and what do they cost in words? `python -m bench.contexts`.

Windows of 3, 6, 12 and 20 s of the tests' small model, each alone in a pass of 30 s against the same in company, in one process: word
error rates, CPU seconds per minute of audio. `--windows N` of each length. The exit code says whether no more than 0.2 words in a
hundred are wrong beyond those that are wrong alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from bench.spoken import MODEL, recordings
from bench.turns import report, word_errors
from tiro.adapters.engines.hosts.whisper import load
from tiro.adapters.engines.hosts.whisper.model import WhisperModel
from tiro.adapters.media import flac
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions
from tiro.ports import Samples

_LENGTHS_S = (3, 6, 12, 20)
_TOGETHER = 16
_PARITY = 0.2
Window = tuple[list[str], Samples]


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
    parser.add_argument("--windows", type=int, default=100)
    options = parser.parse_args()
    full = load(str(MODEL), MODEL.name, "cpu", "int8", context="full")
    short = load(str(MODEL), MODEL.name, "cpu", "int8", context="short")
    missed = 0
    for length_s in _LENGTHS_S:
        spoken = recordings(options.windows, length_s)
        given = [(list(one.words), flac.read(one.path.read_bytes())) for one in spoken]
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
