"""An engine that hears numbered audio exactly and does what its script says: how long it takes, when it fails, when it dies.

Its script is part of its id, after a colon, as `name=value` pieces set apart by semicolons:

    scripted                              hears, at once
    scripted:delay=0.05                   takes 0.05 s per second of audio
    scripted:delay=0.05;turns=1           the same, one call after the other
    scripted:fail=transient_error*2       the first two calls raise this code (no `*n`: all calls); `quota_exceeded` is QuotaExceeded
    scripted:refuse=engine_refused*1      the same, Permanent
    scripted:log=/path/calls.jsonl        writes one line per window (at_s, pid, engine, job_id, window_s, words, failed)
    scripted:hold=/path/gate              answers when this file exists
    scripted:slip=/folder                 one window in a hundred, by its sound, fails once, whoever asks (then it is noted there)
    scripted:says=word                    does not listen: this word is all of each window
    scripted:crash=/path/once             kills its own process, the first time (then the file exists)
    scripted:language=de;languages=de|en;model=scripted_b;name=second   what it detects, knows, claims, and its id in the chain
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tiro.adapters.engines.abilities import Abilities
from tiro.adapters.engines.numbered import hear
from tiro.adapters.engines.words import segments
from tiro.model.errors import Invalid, Permanent, QuotaExceeded, TiroError, Transient
from tiro.model.languages import LANGUAGES
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard, HeardWord, Task
from tiro.ports import Samples, Urgency

_PAUSE_S = 1.0
_SLIPS_OF = 100
_SCRIPT_FIELDS = (
    *("delay", "fail", "refuse", "log", "hold", "slip", "says", "crash"),
    *("language", "languages", "model", "name", "flight", "turns"),
)


class Script(msgspec.Struct, frozen=True):
    """What a scripted engine does. `fail` and `refuse`: (code, how many first calls; None: all)."""

    delay: float = 0.0
    fail: tuple[str, int | None] | None = None
    refuse: tuple[str, int | None] | None = None
    log: str | None = None
    hold: str | None = None
    slip: str | None = None
    says: str | None = None
    crash: str | None = None
    language: str = "en"
    languages: tuple[str, ...] = ()
    model: str = "scripted"
    name: str = "scripted"
    flight: int = 16
    turns: bool = False

    def abilities(self) -> Abilities:
        """What the engine with this script says it can do."""
        languages = frozenset(self.languages) or LANGUAGES
        return Abilities(self.name, self.model, languages, frozenset({"transcribe", "translate"}))


def read_script(text: str) -> Script:
    """The script in an engine id (what follows `scripted:`). Raises Invalid `invalid_setting`."""
    values: dict[str, object] = {}
    for piece in filter(None, text.split(";")):
        name, _, value = piece.partition("=")
        if name not in _SCRIPT_FIELDS:
            raise Invalid(
                "invalid_setting", f"scripted:{piece} is not understood; known are {', '.join(_SCRIPT_FIELDS)}."
            )
        values[name] = _value(name, value)
    try:
        return msgspec.convert(values, Script, strict=False)
    except msgspec.ValidationError as wrong:
        raise Invalid("invalid_setting", f"The script of a scripted engine is wrong: {wrong}.") from None


def _value(name: str, value: str) -> object:
    if name in {"fail", "refuse"}:
        code, _, count = value.partition("*")
        return (code, count or None)
    return value.split("|") if name == "languages" else value


class ScriptedEngine:
    """Hears `w<n>` for second n of numbered audio, in this process, and follows its script."""

    max_window_s = 30.0

    def __init__(self, script: Script | None = None) -> None:
        self._script = script or Script()
        self._abilities = self._script.abilities()
        self.id = self._script.name
        self.model = self._script.model
        self.windows_in_flight = self._script.flight
        self._calls = 0
        self._turn: contextlib.AbstractAsyncContextManager[None] = (
            asyncio.Lock() if self._script.turns else contextlib.nullcontext()
        )
        self._stopped = threading.Event()

    def supports(self, language: str | None, task: Task) -> bool:
        return self._abilities.supports(language, task)

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Calls that wait at the gate go on."""
        self._stopped.set()

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        self._calls += 1
        failure = self._failure() or await asyncio.to_thread(self._slipped, windows)
        if failure is not None:
            await asyncio.to_thread(self._log, urgency, windows, [[]] * len(windows), failure.code)
            raise failure
        await self._play(sum(map(len, windows)) / SAMPLE_RATE_HZ)
        words = await asyncio.to_thread(lambda: [self._heard(window) for window in windows])
        await asyncio.to_thread(self._log, urgency, windows, words, None)
        language = options.language or self._script.language
        probability = None if options.language else 1.0
        return [Heard(segments([_spaced(word) for word in heard], _PAUSE_S), language, probability) for heard in words]

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        return [{self._script.language: 1.0} for _ in windows]

    def _heard(self, window: Samples) -> list[HeardWord]:
        said = self._script.says
        return hear(window) if said is None else [HeardWord(said, 0.0, len(window) / SAMPLE_RATE_HZ, 1.0)]

    async def _play(self, audio_s: float) -> None:
        """The latency and the deaths of the script."""
        async with self._turn:
            await asyncio.sleep(self._script.delay * audio_s)
        if self._script.hold:
            await asyncio.to_thread(_wait_for, Path(self._script.hold), self._stopped)
        once = self._script.crash
        if once is not None and await asyncio.to_thread(_first, Path(once)):
            os.kill(os.getpid(), signal.SIGKILL)

    def _failure(self) -> TiroError | None:
        for planned, kind in ((self._script.fail, Transient), (self._script.refuse, Permanent)):
            if planned is not None and (planned[1] is None or self._calls <= planned[1]):
                code = planned[0]
                return QuotaExceeded() if code == QuotaExceeded.code else kind(code)
        return None

    def _slipped(self, windows: Sequence[Samples]) -> TiroError | None:
        """The same windows in every process, each once."""
        if self._script.slip is None:
            return None
        names = [hashlib.sha256(window.tobytes()).hexdigest() for window in windows]
        slips = [name for name in names if int(name, 16) % _SLIPS_OF == 0]
        return Transient("engine_error") if any(_first(Path(self._script.slip) / name) for name in slips) else None

    def _log(
        self, urgency: Urgency, windows: Sequence[Samples], words: Sequence[Sequence[HeardWord]], failed: str | None
    ) -> None:
        if self._script.log is None:
            return
        lines = [
            {
                "at_s": time.time(),
                "pid": os.getpid(),
                "engine": self.id,
                "job_id": urgency.job_id,
                "window_s": round(len(window) / SAMPLE_RATE_HZ, 3),
                "words": [word.text for word in heard],
                "failed": failed,
            }
            for window, heard in zip(windows, words, strict=True)
        ]
        with Path(self._script.log).open("ab", buffering=0) as log:
            # one write, so that lines of several processes do not mix
            log.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def _wait_for(gate: Path, stopped: threading.Event) -> None:
    while not gate.exists() and not stopped.wait(0.05):
        continue


def _first(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _spaced(word: HeardWord) -> HeardWord:
    return HeardWord(" " + word.text, word.start_s, word.end_s, word.confidence)
