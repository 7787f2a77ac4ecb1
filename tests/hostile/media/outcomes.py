"""What becomes of a file: asked as the API asks (a glance), and as a worker does (all of it)."""

from __future__ import annotations

import threading
from pathlib import Path

from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused, TooLarge
from tiro.model.media import MediaLimits
from tiro.ports import PreparedEnd

LIMITS = MediaLimits(max_duration_s=1800, max_bytes=1 << 30)


def outcome(preparer: ChildPreparer, path: Path, limits: MediaLimits = LIMITS) -> PreparedEnd | str:
    """How it ended, or the word for why not."""
    try:
        *_, end = preparer.prepare(path, limits, True, threading.Event())
    except (MediaRefused, TooLarge) as refused:
        return refused.reason if isinstance(refused, MediaRefused) else refused.code
    assert isinstance(end, PreparedEnd)
    return end


def glance(preparer: ChildPreparer, path: Path, limits: MediaLimits = LIMITS) -> str | None:
    """The reason, where the first look gives one."""
    try:
        preparer.glance(path, limits, threading.Event())
    except (MediaRefused, TooLarge) as refused:
        return refused.reason if isinstance(refused, MediaRefused) else refused.code
    return None


def told(found: PreparedEnd | str) -> str:
    """In few words, for the table."""
    if isinstance(found, str):
        return found
    return ", ".join([f"completed, {found.decoded_s:.1f} s", *found.warnings])
