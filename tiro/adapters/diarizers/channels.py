"""Who speaks when each track is one speaker? Exactly those whose tracks carry speech; nothing is guessed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tiro.adapters.diarizers.turns import exclusive, go_on
from tiro.model.speech import Diarization, Turn
from tiro.ports import SpanAudio


class Channels:
    """Track n is speaker n, also when another speaks first. Where tracks overlap, the turn that began first keeps the floor."""

    id = "channels"

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Turns from the speech that was found when spans were cut; no audio is read. One track alone proves nothing: no confidence."""
        go_on(stop)
        stretches = exclusive((*piece, audio.span.track) for audio in spans for piece in audio.span.speech)
        turns = tuple(Turn(*stretch) for stretch in stretches)
        tracks = max((audio.span.track for audio in spans), default=-1) + 1
        return Diarization(self.id, turns, tracks, 1.0 if tracks > 1 else None)

    def close(self) -> None:
        """Nothing is held."""
