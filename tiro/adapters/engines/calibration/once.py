"""What is best here: what was kept, or what is measured now, by one process of this machine at a time?"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO

from tiro.adapters.engines.calibration.kept import load, make, save
from tiro.adapters.engines.calibration.sizes import Sizes

_log = logging.getLogger(__name__)
_WAIT_S = 90.0
"""For another that measures; then two at once."""


async def once(folder: Path, subject: dict[str, str], model: str, measure: Callable[[], Awaitable[Sizes]]) -> Sizes:
    """Kept from before, or measured now and kept. What cannot be kept is measured again at the next start."""
    if (known := await asyncio.to_thread(load, folder, subject)) is not None:
        _log.info("%s: %s, as measured before", model, said(known))
        return known
    async with _alone(folder):
        if (known := await asyncio.to_thread(load, folder, subject)) is not None:
            return known
        _log.info("%s: measuring how this machine hears fastest, once; TIRO_WHISPER_CALIBRATE=0 leaves it out", model)
        sizes = await measure()
        if not await asyncio.to_thread(save, folder, subject, sizes):
            _log.warning("what was measured cannot be kept in %s: it is measured at every start", folder.name)
    _log.info("%s: %s", model, said(sizes))
    return sizes


def said(sizes: Sizes) -> str:
    """For a person: what was chosen, why, and how to have it otherwise."""
    chosen = {
        "replicas": f"TIRO_REPLICAS={sizes.replicas}",
        "batch": f"TIRO_WHISPER_BATCH={sizes.batch}",
        "context": f"TIRO_WHISPER_CONTEXT={sizes.context}",
        "window_s": f"TIRO_WHISPER_WINDOW_S={sizes.window_s:g}",
    }
    words = [setting + ("" if name in sizes.measured else " (not measured)") for name, setting in chosen.items()]
    speed = "" if sizes.speed is None else f", about {sizes.speed:.1f} x real time"
    return " ".join(words) + speed


@contextlib.asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """Two that measure at once would see half a machine each."""
    try:
        lock = await asyncio.to_thread(_opened, folder)
    except OSError:
        yield
        return
    with lock:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                while not _taken(lock.fileno()):
                    await asyncio.sleep(0.2)
        yield


def _opened(folder: Path) -> IO[str]:
    make(folder)
    return (folder / "lock").open("w")


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
