"""What is spoken to a model to see how it hears here? Fifty seconds that come with the package, and what is said in them.

Two recordings: the beginning of a dialogue, and words in no order, from which nothing can be guessed. Synthetic voices of Debian's
`flite`, put together by `scripts/make_calibration_speech.py`; no recording of a person is in them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tiro.adapters.media import flac
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.windows import Interval, pack
from tiro.ports import Samples

FILE = Path(__file__).with_name("speech.flac")
_EDGE_S = 0.5


class Turn(msgspec.Struct, frozen=True):
    """What is said without a pause."""

    recording: str
    text: str
    start_s: float
    end_s: float


class _Told(msgspec.Struct, frozen=True):
    turns: tuple[Turn, ...]


class Passage(msgspec.Struct, frozen=True):
    """Some turns of one recording."""

    turns: tuple[Turn, ...]
    samples: Samples

    @property
    def words(self) -> list[str]:
        """What is said in it."""
        return words_of(turn.text for turn in self.turns)

    @property
    def audio_s(self) -> float:
        """From its first word to its last."""
        return self.turns[-1].end_s - self.turns[0].start_s

    def opening(self, turns: int) -> Passage:
        """Its first turns."""
        return Passage(self.turns[:turns], self.samples)

    def windows(self, longest_s: float) -> list[Samples]:
        """As the line would cut it."""
        spoken: list[Interval] = [(turn.start_s, turn.end_s) for turn in self.turns]
        bounds = (spoken[0][0] - _EDGE_S, spoken[-1][1] + _EDGE_S)
        return [
            self.samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
            for start_s, end_s in pack(spoken, bounds, longest_s)
        ]


def passages() -> list[Passage]:
    """One per recording, in their order."""
    turns = msgspec.json.decode(FILE.with_suffix(".json").read_bytes(), type=_Told).turns
    samples = flac.read(FILE.read_bytes())
    names = dict.fromkeys(turn.recording for turn in turns)
    return [Passage(tuple(turn for turn in turns if turn.recording == name), samples) for name in names]


def words_of(texts: Iterable[str]) -> list[str]:
    """Words alone: no marks, no capitals."""
    return re.findall(r"[^\W_]+", " ".join(texts).lower().replace("'", ""))


def wrong(heard: Sequence[str], said: Sequence[str]) -> int:
    """Words that are missing, added or others."""
    matched = difflib.SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
    return max(len(said), len(heard)) - sum(block.size for block in matched)
