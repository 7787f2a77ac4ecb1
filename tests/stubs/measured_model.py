"""A model for hosts that hears the bundled speech word by word and works for as long as it is told to."""

from __future__ import annotations

import math
import time

import numpy as np

from tiro.adapters.engines.calibration.speech import passages
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import Heard, HeardSegment


def load(context="full", work=(0.0, 0.0), nap_s=0.0, room=1, mistakes=()) -> MeasuredModel:
    """`work`: seconds of processor time for a window, and for each second of it in the short context; `nap_s`: of waiting for as many
    windows as there is `room` for; `mistakes`: contexts that mishear.
    """
    return MeasuredModel(context, tuple(work), nap_s, room, context in mistakes)


class MeasuredModel:
    name = "measured"

    def __init__(self, context: str, work: tuple[float, float], nap_s: float, room: int, mishears: bool) -> None:
        self._context = context
        self._work = work
        self._nap_s = nap_s
        self._places: dict[bytes, int] = {}
        self._room = room
        self._mishears = mishears
        self._turns = [turn for one in passages() for turn in one.turns]
        self._samples = passages()[0].samples

    def prepare(self, windows):
        return windows

    def transcribe(self, prepared, options):
        time.sleep(self._nap_s * math.ceil(len(prepared) / self._room))
        return [self._heard(window) for window in prepared]

    def detect(self, prepared):
        return [{"en": 1.0} for _ in prepared]

    def _heard(self, window) -> Heard:
        length_s = len(window) / SAMPLE_RATE_HZ
        until = time.process_time() + (self._work[0] if self._context == "full" else self._work[1] * length_s)
        start_s = self._place(window) / SAMPLE_RATE_HZ
        said = [turn.text for turn in self._turns if start_s <= turn.start_s and turn.end_s <= start_s + length_s]
        while time.process_time() < until:
            pass
        text = "nothing of the kind" if self._mishears else " ".join(said)
        return Heard((HeardSegment(0.0, length_s, text, (), 1.0),), "en")

    def _place(self, window) -> int:
        """Where in the speech it was cut from."""
        first = int(np.flatnonzero(window)[0])
        probe = window[first : first + 64]
        if probe.tobytes() in self._places:
            return self._places[probe.tobytes()] - first
        for at in np.flatnonzero(self._samples == probe[0]):
            if np.array_equal(self._samples[at : at + len(probe)], probe):
                self._places[probe.tobytes()] = int(at)
                return int(at) - first
        raise ValueError("not of the bundled speech")
