"""A model for hosts that does what the first sample of a window says: answer, die, hang, raise, grow or take its time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tiro.model.speech import EngineOptions, Heard, HeardSegment

DIE, HANG, RAISE, GROW, SLOW, WAIT = 0.9, 0.8, 0.7, 0.6, 0.5, 0.45
LEAK, FEW, DIE_EARLY, RAISE_EARLY = 0.4, 0.35, 0.3, 0.25


def load(name: str = "moody", marks: str | None = None, story: str | None = None) -> MoodyModel:
    """`marks`: a file that lists the batches. `story`: one that tells what was prepared and heard, and holds WAIT up until `<story>.go`."""
    if name == "broken":
        raise RuntimeError("no model")
    return MoodyModel(name, marks, story)


class MoodyModel:
    def __init__(self, name: str, marks: str | None, story: str | None) -> None:
        self.name = name
        self._marks = marks
        self._story = story
        self._grown = b""
        self._leaked = []

    def prepare(self, windows):
        moods = [mood_of(window) for window in windows]
        if DIE_EARLY in moods:
            os.kill(os.getpid(), signal.SIGSEGV)
        if RAISE_EARLY in moods:
            raise ValueError("moody")
        self._tell("prepares", windows)
        return windows

    def transcribe(self, windows, options: EngineOptions):
        self._tell("hears", windows)
        if self._marks:
            with Path(self._marks).open("a") as log:
                log.write(f"{options.prompt or ''}:{len(windows)}:{names_of(windows)}\n")
        heard = [self._heard(window, options) for window in windows if mood_of(window) != FEW]
        self._tell("heard", windows)
        return heard

    def detect(self, windows):
        return [{"en": 0.75, "de": 0.25} for _ in windows]

    def _heard(self, window, options):
        match mood_of(window):
            case mood if mood == DIE:
                os.kill(os.getpid(), signal.SIGSEGV)
            case mood if mood == HANG:
                time.sleep(60)
            case mood if mood == RAISE:
                raise ValueError("moody")
            case mood if mood == GROW:
                self._grown = os.urandom(200 * 1024 * 1024)
                time.sleep(3)
            case mood if mood == SLOW:
                time.sleep(0.3)
            case mood if mood == LEAK:
                self._leaked.append(b"x" * (4 * 1024 * 1024))
                time.sleep(0.03)
            case mood if mood == WAIT:
                while not Path(f"{self._story}.go").exists():
                    time.sleep(0.01)
        text = f"{len(window)} of {options.language}"
        return Heard((HeardSegment(0.0, len(window) / 16_000, text, (), 1.0),), options.language)

    def _tell(self, what, windows):
        if self._story:
            with Path(self._story).open("a") as log:
                log.write(f"{what} {names_of(windows)}\n")


def mood_of(window):
    return round(float(window[0]), 2)


def names_of(windows):
    return ",".join(str(round(float(window[1]), 2)) for window in windows)
