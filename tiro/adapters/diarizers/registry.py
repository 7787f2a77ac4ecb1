"""Which diarizers there are, which can run here, and which one a server uses."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tiro.adapters.diarizers.acoustic import Acoustic
from tiro.adapters.diarizers.channels import Channels
from tiro.adapters.diarizers.pyannote import WAY_OUT, Pyannote
from tiro.adapters.diarizers.scripted import Scripted
from tiro.adapters.scratch import root_of
from tiro.model.errors import Invalid, Permanent
from tiro.ports import Diarizer

HUB_MODELS = ("pyannote/speaker-diarization-3.1", "pyannote/speaker-diarization-community-1")
"""Those that are looked for in the hub's cache, in this order; the last is what a token fetches."""


class DiarizerSettings(Protocol):
    """The settings that diarizers read (`tiro.settings.Settings` has them)."""

    @property
    def diarizer(self) -> str | None: ...
    @property
    def pyannote_model(self) -> str | None: ...
    @property
    def scratch(self) -> str: ...


def channels_diarizer() -> Diarizer:
    """For recordings whose tracks are speakers."""
    return Channels()


def resolve_diarizer(settings: DiarizerSettings) -> tuple[Diarizer, tuple[str, ...]]:
    """The diarizer for mixed voices, and what to tell the operator; nothing is loaded.

    Without a choice: pyannote where it is installed and its model can be had, else acoustic with a warning.
    Raises Permanent `engine_unavailable` when pyannote was chosen and cannot run, Invalid `invalid_setting` for an unknown id.
    """
    if settings.diarizer is not None:
        return _chosen(settings.diarizer, settings), ()
    missing = pyannote_missing(settings)
    if missing is None:
        return DIARIZERS["pyannote"](settings), ()
    return Acoustic(), (f"Speakers are told apart by the light `acoustic` diarizer: {missing} {WAY_OUT}",)


def pyannote_missing(settings: DiarizerSettings) -> str | None:
    """Why pyannote cannot run here, in a sentence; None: it can. Imports nothing heavy."""
    if any(importlib.util.find_spec(package) is None for package in ("torch", "pyannote", "pyannote.audio")):
        return "pyannote.audio is not installed."
    if _model(settings) is None:
        return (
            "pyannote's model is neither in a folder nor in the hub's cache, and there is no HF_TOKEN to fetch it with."
        )
    return None


def _chosen(name: str, settings: DiarizerSettings) -> Diarizer:
    if name not in DIARIZERS:
        raise Invalid("invalid_setting", f"TIRO_DIARIZER must be one of {', '.join(DIARIZERS)}.", param="TIRO_DIARIZER")
    return DIARIZERS[name](settings)


def _pyannote(settings: DiarizerSettings) -> Diarizer:
    missing, model = pyannote_missing(settings), _model(settings)
    if missing is not None or model is None:
        raise Permanent("engine_unavailable", f"{missing} {WAY_OUT}")
    return Pyannote(model, root_of(settings.scratch))


def _model(settings: DiarizerSettings) -> str | None:
    """Name or folder of a pipeline that can be had, as far as can be told without a connection."""
    named = settings.pyannote_model
    if named is not None and Path(named).exists():
        return named
    cached = [name for name in ((named,) if named else HUB_MODELS) if _is_cached(name)]
    if cached:
        return cached[0]
    return (named or HUB_MODELS[-1]) if _has_token() else None


def _hub_home() -> Path:
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")


def _is_cached(name: str) -> bool:
    hub = Path(os.environ.get("HF_HUB_CACHE") or _hub_home() / "hub")
    return any(hub.glob(f"models--{name.replace('/', '--')}/snapshots/*/config.yaml"))


def _has_token() -> bool:
    return bool(os.environ.get("HF_TOKEN")) or (_hub_home() / "token").is_file()


DIARIZERS: dict[str, Callable[[DiarizerSettings], Diarizer]] = {
    "channels": lambda _: Channels(),
    "pyannote": _pyannote,
    "acoustic": lambda _: Acoustic(),
    "scripted": lambda _: Scripted(),
}
"""How each is made."""
