"""How fast do decoder and engine of this machine hear recordings, without the line around them? As the line would have them do it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tiro.model.errors import Invalid
from tiro.model.media import SAMPLE_RATE_HZ, MediaLimits
from tiro.model.speech import EngineOptions
from tiro.model.windows import cut
from tiro.ports import Engine, PreparedEnd, PreparedFile, PreparedSpan, Preparer, Samples, Urgency
from tiro.settings import Settings
from tiro.wiring import Machines, build_preparer
from worker import speech_slots

T = TypeVar("T")
Tell = Callable[[float], None]
"""Called with seconds of the recording that have been heard."""
_FILES_A_PACK = 25
_ELSEWHERE = "`tiro doctor --measure RECORDING` times it; TIRO_ENGINES=faster_whisper measures here."


class Heard(msgspec.Struct, frozen=True):
    """What was heard, how long that took from the first byte to the last word, and until when there was something to decode."""

    files: int
    audio_s: float
    took_s: float
    decoding_s: float

    @property
    def speed(self) -> float:
        """x real time."""
        return self.audio_s / max(1e-6, self.took_s)


class Ears:
    """A decoder, and an engine that has loaded."""

    def __init__(self, engine: Engine, preparer: Preparer, limits: MediaLimits, slots: int) -> None:
        self.engine = engine
        self.slots = slots
        self._preparer = preparer
        self._limits = limits
        self._options = EngineOptions(language=None if engine.supports(None, "transcribe") else "en")

    async def hear(self, recording: Path, tell: Tell) -> Heard:
        """One recording: its first spans are heard while the rest is still decoded. Raises MediaRefused."""
        began, found = time.monotonic(), [0.0, 0.0]

        def spans(stop: threading.Event) -> Iterator[PreparedSpan]:
            for made in self._preparer.prepare(recording, self._limits, split_channels=False, stop=stop):
                if isinstance(made, PreparedSpan):
                    yield made
                elif isinstance(made, PreparedEnd):
                    found[:] = made.decoded_s, time.monotonic() - began

        async def one(span: PreparedSpan) -> None:
            await self._span(span)
            tell(span.span.end_s - span.span.start_s)

        await _each(spans, one, self.slots)
        return Heard(1, found[0], time.monotonic() - began, found[1])

    async def hear_each(self, recordings: Sequence[Path], tell: Tell) -> Heard:
        """Short recordings beside each other, as packs have them. Raises MediaRefused for one that cannot be read."""
        began, found = time.monotonic(), [0.0, 0.0]

        def files(stop: threading.Event) -> Iterator[PreparedFile]:
            for made in self._preparer.prepare_each(recordings, self._limits, stop=stop):
                if made.error is not None:
                    raise made.error
                found[:] = found[0] + (made.end.decoded_s if made.end else 0.0), time.monotonic() - began
                yield made

        async def one(file: PreparedFile) -> None:
            for span in file.spans:
                await self._span(span)
            tell(file.end.decoded_s if file.end else 0.0)

        await _each(files, one, self.slots * _FILES_A_PACK)
        return Heard(len(recordings), found[0], time.monotonic() - began, found[1])

    async def _span(self, one: PreparedSpan) -> None:
        if windows := _windows(one, self.engine.max_window_s):
            await self.engine.transcribe(windows, self._options, Urgency("measuring"))


@contextlib.asynccontextmanager
async def ears(
    settings: Settings, say: Callable[[str], None] = lambda _: None, refuse: frozenset[str] = frozenset()
) -> AsyncIterator[Ears]:
    """The chain's first engine, loaded for so long. Raises Permanent `engine_unavailable`, Invalid `engine_hosted` for one to `refuse`."""
    preparer = build_preparer(settings)
    machines = Machines(settings, preparer, frozenset({"speech"}), say)
    engine = next(iter(machines.engines.values()))
    try:
        if engine.id in refuse:
            raise Invalid(
                "engine_hosted",
                f"{engine.id} hears elsewhere, for money: nothing of it is this machine's. {_ELSEWHERE}",
            )
        await engine.start()
        yield Ears(engine, preparer, _limits(settings), speech_slots([engine], settings.span_s))
    finally:
        await machines.stop()
        await asyncio.to_thread(preparer.close)


async def _each(
    made: Callable[[threading.Event], Iterator[T]], work: Callable[[T], Awaitable[None]], at_once: int
) -> None:
    """Work on what is made while the rest of it is being made. The first error ends it all."""
    stop, places = threading.Event(), asyncio.Semaphore(at_once)
    making = made(stop)

    async def one(thing: T) -> None:
        try:
            await work(thing)
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                thing = await asyncio.to_thread(next, making, None)
                if thing is None:
                    break
                group.create_task(one(thing))
    except BaseExceptionGroup as many:
        raise many.exceptions[0] from None
    finally:
        stop.set()


def _limits(settings: Settings) -> MediaLimits:
    """What the most generous plans take."""
    return MediaLimits(
        max_bytes=max(plan.max_bytes for plan in settings.plans),
        max_duration_s=max(plan.max_duration_s for plan in settings.plans),
    )


def _windows(one: PreparedSpan, max_window_s: float) -> list[Samples]:
    def at(time_s: float) -> int:
        return round((time_s - one.span.start_s) * SAMPLE_RATE_HZ)

    return [one.samples[at(start_s) : at(end_s)] for start_s, end_s in cut(one.span, max_window_s)]
