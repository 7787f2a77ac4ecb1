"""What is heard? A recording of some minutes, the bundled speech again and again unless one is named, and as many short ones as wished."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from tiro.adapters.engines.calibration.speech import passages
from tiro.adapters.media import flac
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

SHORT_S = 12.0
_PAUSE_S = 0.5


def long_recording(folder: Path, minutes: float) -> Path:
    """So many minutes of the bundled speech."""
    whole = passages()[0].samples
    wished = max(1, round(minutes * 60 * SAMPLE_RATE_HZ))
    file = folder / "speech.flac"
    file.write_bytes(flac.encode(np.resize(whole, wished)))
    return file


def short_recordings(folder: Path, count: int) -> list[Path]:
    """Each of about twelve seconds: sentences of the bundled speech, each file beginning with another one."""
    sentences = [
        one.samples[round(turn.start_s * SAMPLE_RATE_HZ) : round(turn.end_s * SAMPLE_RATE_HZ)]
        for one in passages()
        for turn in one.turns
    ]
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    kinds = [flac.encode(_from(sentences, first, pause)) for first in range(min(count, len(sentences)))]
    files = [folder / f"short-{number:05d}.flac" for number in range(count)]
    for file, data in zip(files, itertools.cycle(kinds), strict=False):
        file.write_bytes(data)
    return files


def _from(sentences: list[Samples], first: int, pause: Samples) -> Samples:
    pieces: list[Samples] = []
    for sentence in itertools.islice(itertools.cycle(sentences), first, None):
        pieces += [pause, sentence]
        if sum(map(len, pieces)) >= SHORT_S * SAMPLE_RATE_HZ:
            break
    return np.concatenate(pieces)[: round(SHORT_S * SAMPLE_RATE_HZ)]
