"""The demo dialogue as spans: the audio that ships in tests/data/demo, with the speech that its story tells."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.model.speech import Turn

FOLDER = Path(__file__).parents[1] / "data/demo"


class Audio:
    """A span that lies in memory, and how often it was read."""

    def __init__(self, span: Span, samples: np.ndarray) -> None:
        self.span = span
        self.reads = 0
        self._samples = samples

    def samples(self) -> np.ndarray:
        self.reads += 1
        return self._samples


def truth() -> list[Turn]:
    """Who speaks when."""
    told = json.loads((FOLDER / "dialogue.json").read_text())["turns"]
    return [Turn(turn["start_s"], turn["end_s"], turn["speaker"]) for turn in told]


def channels() -> np.ndarray:
    """(2, samples), one voice per channel."""
    with av.open(str(FOLDER / "dialogue-stereo.flac")) as container:
        frames = [frame.to_ndarray().reshape(-1, 2).T for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1).astype(np.float32) / 32768


def mixed_spans() -> list[Audio]:
    """One track in three spans, cut between turns."""
    return _spans(channels().sum(axis=0), 0, truth())


def separate_spans(swapped: bool = False) -> list[Audio]:
    """Two tracks; swapped: who speaks first is on the second."""
    told = truth()
    return [
        audio
        for track, samples in enumerate(channels()[::-1] if swapped else channels())
        for audio in _spans(
            samples, track, [turn for turn in told if turn.speaker == (1 - track if swapped else track)]
        )
    ]


def _spans(samples: np.ndarray, track: int, turns: list[Turn]) -> list[Audio]:
    ends = [turn.end_s for turn in turns]
    cuts = [0.0, ends[len(ends) // 3] + 0.1, ends[2 * len(ends) // 3] + 0.1, len(samples) / SAMPLE_RATE_HZ]
    spans = []
    for place, (start_s, end_s) in enumerate(pairwise(cuts)):
        speech = tuple((turn.start_s, turn.end_s) for turn in turns if start_s <= turn.start_s < end_s)
        first, last = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
        spans.append(Audio(Span(3 * track + place, track, start_s, end_s, speech), samples[first:last]))
    return spans
