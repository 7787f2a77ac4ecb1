"""How fast is this machine? A recording through decoder and engine, without the line around them, as x real time."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from api.config import RequestLimits
from api.dialects.transcribe.sync import LIMITS as SYNC
from commands.subject import Finding
from tiro.model.errors import MediaRefused
from tiro.model.media import SAMPLE_RATE_HZ, MediaLimits
from tiro.model.speech import EngineOptions
from tiro.model.windows import cut
from tiro.ports import Engine, PreparedEnd, PreparedSpan, Preparer, Samples, Urgency
from tiro.settings import Settings
from tiro.wiring import Machines, build_preparer

_PROMISED = 6.0
"""x real time that people expect: an hour in ten minutes."""
_FASTER = "A GPU, more cores, a smaller TIRO_WHISPER_MODEL, or a hosted engine makes it faster."


async def measure(settings: Settings, recording: Path) -> list[Finding]:
    """Loads the chain's first engine. Raises Permanent `engine_unavailable`."""
    preparer = build_preparer(settings)
    machines = Machines(settings, preparer, frozenset({"speech"}), lambda _: None)
    engine = next(iter(machines.engines.values()))
    try:
        await engine.start()
        began = time.monotonic()
        spans, decoded_s = await asyncio.to_thread(_prepared, preparer, recording, _limits(settings))
        prepared_s = time.monotonic() - began
        await _heard(engine, spans)
        took_s = time.monotonic() - began
    except MediaRefused as refused:
        return [Finding(refused.code, "fail", f"{recording.name}: {refused.reason}.", "Name a recording that plays.")]
    finally:
        await machines.stop()
        await asyncio.to_thread(preparer.close)
    speed = decoded_s / took_s
    text = f"{engine.model}: {speed:.1f} x real time ({decoded_s:.0f} s in {took_s:.1f} s, {prepared_s:.1f} s of it decoding)."
    return [*waited_for(speed), _judged(speed, text)]


def waited_for(speed: float) -> list[Finding]:
    """Whether the longest recording that somebody waits for is ready while they still do, on a machine that does nothing else."""
    wait_s, longest_s = RequestLimits().wait_s, int(SYNC.max_duration_s)
    takes_s = longest_s / speed
    if takes_s <= wait_s:
        return []
    text = (
        f"A recording of {longest_s} s takes {takes_s:.0f} s here; callers of POST /v1/transcribe wait {wait_s:.0f} s."
    )
    return [Finding("sync_slow", "warn", text, f"They are told where their job stands, and poll. {_FASTER}")]


def _judged(speed: float, text: str) -> Finding:
    if speed >= _PROMISED:
        return Finding("speed", "ok", text)
    return Finding("speed_low", "warn", f"{text} People expect {_PROMISED:.0f} x.", _FASTER)


def _limits(settings: Settings) -> MediaLimits:
    """What the most generous plans take."""
    return MediaLimits(
        max_bytes=max(plan.max_bytes for plan in settings.plans),
        max_duration_s=max(plan.max_duration_s for plan in settings.plans),
    )


def _prepared(preparer: Preparer, recording: Path, limits: MediaLimits) -> tuple[list[PreparedSpan], float]:
    spans: list[PreparedSpan] = []
    decoded_s = 0.0
    for made in preparer.prepare(recording, limits, split_channels=False, stop=threading.Event()):
        if isinstance(made, PreparedSpan):
            spans.append(made)
        elif isinstance(made, PreparedEnd):
            decoded_s = made.decoded_s
    return spans, decoded_s


async def _heard(engine: Engine, spans: list[PreparedSpan]) -> None:
    """All spans beside each other, as the speech queue would have them."""
    language = None if engine.supports(None, "transcribe") else "en"
    options, urgency = EngineOptions(language=language), Urgency("measuring")
    async with asyncio.TaskGroup() as group:
        for one in spans:
            if windows := _windows(one, engine.max_window_s):
                group.create_task(engine.transcribe(windows, options, urgency))


def _windows(one: PreparedSpan, max_window_s: float) -> list[Samples]:
    def at(time_s: float) -> int:
        return round((time_s - one.span.start_s) * SAMPLE_RATE_HZ)

    return [one.samples[at(start_s) : at(end_s)] for start_s, end_s in cut(one.span, max_window_s)]
