"""A model for hosts that does what the first sample of a window says: answer, die, hang, raise, grow or take its time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tiro.model.speech import EngineOptions, Heard, HeardSegment

DIE, HANG, RAISE, GROW, SLOW = 0.9, 0.8, 0.7, 0.6, 0.5


def load(name: str = "moody", marks: str | None = None) -> MoodyModel:
    if name == "broken":
        raise RuntimeError("no model")
    return MoodyModel(name, marks)


class MoodyModel:
    def __init__(self, name: str, marks: str | None) -> None:
        self.name = name
        self._marks = marks
        self._grown = b""

    def prepare(self, windows):
        return windows

    def transcribe(self, windows, options: EngineOptions):
        heard = []
        if self._marks:
            with Path(self._marks).open("a") as log:
                log.write(
                    f"{options.prompt or ''}:{len(windows)}:{','.join(str(round(float(w[1]), 2)) for w in windows)}\n"
                )
        for window in windows:
            mood = round(float(window[0]), 2)
            if mood == DIE:
                os.kill(os.getpid(), signal.SIGSEGV)
            elif mood == HANG:
                time.sleep(60)
            elif mood == RAISE:
                raise ValueError("moody")
            elif mood == GROW:
                self._grown = os.urandom(200 * 1024 * 1024)
                time.sleep(3)
            elif mood == SLOW:
                time.sleep(0.3)
            text = f"{len(window)} of {options.language}"
            heard.append(Heard((HeardSegment(0.0, len(window) / 16_000, text, (), 1.0),), options.language))
        return heard

    def detect(self, windows):
        return [{"en": 0.75, "de": 0.25} for _ in windows]
