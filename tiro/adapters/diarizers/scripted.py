"""A diarizer for tests and rehearsals: voices take turns by the clock, whatever is said."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tiro.adapters.diarizers.turns import diarization, go_on, in_time_order
from tiro.model.speech import Diarization
from tiro.ports import SpanAudio


class Scripted:
    """Speaker `floor(t / turn_s) mod speakers` has second t, wherever a span has speech."""

    id = "scripted"

    def __init__(self, speakers: int = 2, turn_s: float = 5.0) -> None:
        self._speakers = speakers
        self._turn_s = turn_s

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Turns by the rule; no audio is read."""
        stretches: list[tuple[float, float, int]] = []
        for audio in in_time_order(spans):
            go_on(stop)
            for start_s, end_s in audio.span.speech:
                stretches += self._cut(start_s, end_s)
        return diarization(self.id, stretches)

    def close(self) -> None:
        """Nothing is held."""

    def _cut(self, start_s: float, end_s: float) -> list[tuple[float, float, int]]:
        first, last = int(start_s // self._turn_s), int(end_s // self._turn_s)
        return [
            (max(start_s, turn * self._turn_s), min(end_s, (turn + 1) * self._turn_s), turn % self._speakers)
            for turn in range(first, last + 1)
        ]
