"""Where is kept what was measured, and is it still true? A file per model and machine, written whole, read with suspicion."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path

import msgspec

from tiro.adapters.engines.calibration.machine import Machine
from tiro.adapters.engines.calibration.sizes import Sizes, Wishes

_EDITION = 3
"""Raised when trials change, or how windows are decoded: what an earlier one measured does not count."""
_HEAD_BYTES = 1 << 16


class Entry(msgspec.Struct, frozen=True):
    """What was found, and for which model and machine."""

    subject: dict[str, str]
    sizes: Sizes


def folder_for(cache: str) -> Path:
    """Below the server's cache folder; empty: the user's."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path(os.path.expanduser("~")) / ".cache")  # noqa: PTH111 - never raises
    return Path(cache or Path(home) / "tiro") / "calibration"


def make(folder: Path) -> None:
    """The folder, and the cache or data folder that it lies in, for their owner alone. Raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def subject_of(model: Path, machine: Machine, wishes: Wishes) -> dict[str, str]:
    """All that a measurement depends on: model, machine, libraries, and what was wished, since the rest was chosen beside it."""
    weights = (model / "model.bin").stat()
    with (model / "model.bin").open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES) + (model / "config.json").read_bytes()).hexdigest()
    return {
        "edition": str(_EDITION),
        "model": str(model),
        "weights": f"{weights.st_size} bytes of {weights.st_mtime_ns}, {head[:16]}",
        "device": f"{machine.cards} x {machine.device}" if machine.cards else machine.device,
        "cores": str(machine.cores),
        "versions": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tiro", "ctranslate2")),
        "wishes": msgspec.json.encode(wishes).decode(),
    }


def load(folder: Path, subject: dict[str, str]) -> Sizes | None:
    """What was kept for it; None: nothing, or nothing that can be read."""
    try:
        entry = msgspec.json.decode((folder / _name(subject)).read_bytes(), type=Entry)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    sound = entry.sizes.replicas >= 1 and entry.sizes.batch >= 1 and 1 <= entry.sizes.window_s <= 30
    return entry.sizes if sound and entry.subject == subject else None


def save(folder: Path, subject: dict[str, str], sizes: Sizes) -> bool:
    """Whether it could be kept. Whole or not at all; of two at once the later stands."""
    data = msgspec.json.format(msgspec.json.encode(Entry(subject, sizes)))
    part = None
    try:
        make(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            part = Path(file.name)
            file.write(data)
        part.replace(folder / _name(subject))
    except OSError:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return False
    return True


def forget(folder: Path) -> None:
    """All of it, so that the next start measures."""
    for file in folder.glob("*.json"):
        file.unlink(missing_ok=True)


def _name(subject: dict[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(subject, order="sorted")).hexdigest()[:24] + ".json"
