"""How do stretches that belong to voices become turns as the port promises them: exclusive, ordered, numbered by first appearance?"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import msgspec

from tiro.model.errors import Transient
from tiro.model.speech import Diarization, Turn
from tiro.ports import SpanAudio

Voice = TypeVar("Voice", bound=Hashable)
"""Whatever name the diarizer has for a voice; a stretch is (start_s, end_s, voice)."""

JOIN_S = 0.3
"""A shorter silence does not end a turn."""

_MIN_TURN_S = 0.01


def diarization(
    diarizer: str, stretches: Iterable[tuple[float, float, Voice]], confidence: float | None = None
) -> Diarization:
    """Turns from stretches in any order. Where two overlap, who began first keeps the floor."""
    numbers: dict[Voice, int] = {}
    turns: list[Turn] = []
    for start_s, end_s, voice in exclusive(stretches):
        speaker = numbers.setdefault(voice, len(numbers))
        if turns and turns[-1].speaker == speaker and start_s - turns[-1].end_s <= JOIN_S:
            turns[-1] = msgspec.structs.replace(turns[-1], end_s=end_s)
        else:
            turns.append(Turn(start_s, end_s, speaker))
    return Diarization(diarizer, tuple(turns), len(numbers), confidence)


def exclusive(stretches: Iterable[tuple[float, float, Voice]]) -> list[tuple[float, float, Voice]]:
    """The same in time order and without overlap; what is left too short to be heard is dropped."""
    alone: list[tuple[float, float, Voice]] = []
    floor_s = 0.0
    for start_s, end_s, voice in sorted(stretches, key=lambda stretch: stretch[:2]):
        remains_s = max(start_s, floor_s)
        if end_s - remains_s >= _MIN_TURN_S:
            alone.append((float(remains_s), float(end_s), voice))
            floor_s = end_s
    return alone


def in_time_order(spans: Sequence[SpanAudio]) -> list[SpanAudio]:
    """Spans by when they begin, those of the first track first."""
    return sorted(spans, key=lambda audio: (audio.span.start_s, audio.span.track, audio.span.index))


def go_on(stop: threading.Event) -> None:
    """Raises Transient `stopped` once the result is no longer wanted."""
    if stop.is_set():
        raise Transient("stopped", "The result is no longer wanted.")
