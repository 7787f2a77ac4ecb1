"""Is this machine fast enough? What `tiro doctor --measure` finds when it hears a recording."""

from __future__ import annotations

from pathlib import Path

from api.config import RequestLimits
from api.dialects.transcribe.sync import LIMITS as SYNC
from commands.hearing import ears
from commands.subject import Finding
from tiro.model.errors import MediaRefused
from tiro.settings import Settings

PROMISED = 6.0
"""x real time that people expect: an hour in ten minutes."""
_FASTER = "A GPU, more cores, a smaller TIRO_WHISPER_MODEL, or a hosted engine makes it faster; `tiro bench` says more."


async def measure(settings: Settings, recording: Path) -> list[Finding]:
    """Loads the chain's first engine. Raises Permanent `engine_unavailable`."""
    try:
        async with ears(settings) as loaded:
            heard = await loaded.hear(recording, lambda _: None)
            model = loaded.engine.model
    except MediaRefused as refused:
        return [Finding(refused.code, "fail", f"{recording.name}: {refused.reason}.", "Name a recording that plays.")]
    text = (
        f"{model}: {heard.speed:.1f} x real time ({heard.audio_s:.0f} s in {heard.took_s:.1f} s; "
        f"all was decoded after {heard.decoding_s:.1f} s)."
    )
    return [*waited_for(heard.speed), _judged(heard.speed, text)]


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
    if speed >= PROMISED:
        return Finding("speed", "ok", text)
    return Finding("speed_low", "warn", f"{text} People expect {PROMISED:.0f} x.", _FASTER)
