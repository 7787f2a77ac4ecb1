"""What engines are asked and what they hear: windows in, words out, and the part that a span leaves behind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

Task = Literal["transcribe", "translate"]


class EngineFacts(msgspec.Struct, frozen=True):
    """What is known of an engine without loading it. `languages` None: any of the service's list. `detects`: finds the language itself."""

    id: str
    model: str
    languages: frozenset[str] | None = None
    tasks: frozenset[str] = frozenset({"transcribe"})
    detects: bool = True

    def can(self, language: str | None, task: str) -> bool:
        """Whether it can do this task in this language (None: not known yet)."""
        if task not in self.tasks:
            return False
        return language is None or self.languages is None or language in self.languages


def chosen(chain: Sequence[EngineFacts], engines: Collection[str]) -> tuple[EngineFacts, ...]:
    """What of a chain was asked for by id, in the chain's order; where nothing was, all of it."""
    return tuple(facts for facts in chain if not engines or facts.id in engines)


class EngineOptions(msgspec.Struct, frozen=True):
    """What all windows of one call share. `language` None: the engine finds it. `vocabulary` biases, it never inserts."""

    language: str | None = None
    task: Task = "transcribe"
    prompt: str | None = None
    vocabulary: tuple[str, ...] = ()


class HeardWord(msgspec.Struct, frozen=True, gc=False):
    """A word as an engine heard it; seconds from the start of its window (in a `Part`: of the recording); confidence 0..1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class HeardSegment(msgspec.Struct, frozen=True):
    """A stretch of words that the engine holds together. `text` keeps its punctuation."""

    start_s: float
    end_s: float
    text: str
    words: tuple[HeardWord, ...]
    confidence: float


class Heard(msgspec.Struct, frozen=True):
    """The answer for one window. `language` is what the engine used or found; `language_probability` None: not measured."""

    segments: tuple[HeardSegment, ...]
    language: str | None = None
    language_probability: float | None = None


class Part(msgspec.Struct, frozen=True):
    """What one engine heard in one span, in seconds of the recording. `engine`: the public model id.

    `speech_s` and `covered_s`: seconds of speech in the span and how many of them carry words.
    """

    index: int
    track: int
    engine: str
    language: str | None
    segments: tuple[HeardSegment, ...]
    speech_s: float
    covered_s: float
    warnings: tuple[str, ...] = ()


class StoredPart(msgspec.Struct, frozen=True):
    """A `Part` as it was stored. Its words stay bytes until somebody asks, and are not kept then: ten hours have a hundred thousand."""

    index: int
    track: int
    engine: str
    language: str | None
    raw: msgspec.Raw = msgspec.field(name="segments")
    speech_s: float
    covered_s: float
    warnings: tuple[str, ...] = ()

    @property
    def segments(self) -> tuple[HeardSegment, ...]:
        """Made anew each time."""
        return _SEGMENTS.decode(self.raw)


_SEGMENTS = msgspec.json.Decoder(tuple[HeardSegment, ...])


class Turn(msgspec.Struct, frozen=True):
    """One speaker speaks from `start_s` to `end_s` (seconds of the recording). `speaker` counts from 0 by first appearance."""

    start_s: float
    end_s: float
    speaker: int


class Diarization(msgspec.Struct, frozen=True):
    """Who spoke when, by which diarizer. Turns are exclusive (no overlap) and ordered. `confidence` None: not measured."""

    diarizer: str
    turns: tuple[Turn, ...]
    speakers: int
    confidence: float | None = None
