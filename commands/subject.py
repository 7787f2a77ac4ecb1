"""What does `tiro doctor` look at, and how is told what was found?"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from commands.folder import SECRET_KEY, DataFolder
from tiro.settings import Settings, read

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `fix` is empty where nothing is to be done."""

    code: str
    level: Level
    text: str
    fix: str = ""


class Subject(msgspec.Struct, frozen=True):
    """The server that is examined. `folder`: an embedded one's; `fresh`: it was never started; `running`: by this folder's lock."""

    settings: Settings
    environ: Mapping[str, str]
    embedded: bool
    fresh: bool = False
    running: bool = False
    folder: Path | None = None


Check = Callable[[Subject], Awaitable[list[Finding]]]


def subject_at_scale(environ: Mapping[str, str]) -> Subject:
    """What the environment names. Raises Invalid."""
    return Subject(read(environ), environ, embedded=False)


def subject_of_folder(folder: DataFolder, environ: Mapping[str, str]) -> Subject:
    """The embedded server of a folder; one that was never started leaves no folder behind. Raises Invalid."""
    if not (folder.path / SECRET_KEY).exists():
        stand_in = base64.b64encode(bytes(32)).decode()
        defaults: dict[str, object] = {"database_url": folder.database_url, "blobs_url": folder.blobs_url}
        settings = read(
            environ, folder.toml, {**defaults, "secret_key": stand_in, "cache": str(folder.path), "embedded": True}
        )
        return Subject(settings, environ, embedded=True, fresh=True, folder=folder.path)
    settings = folder.settings(environ, 8080)
    running = folder.holder() is not None
    if running and settings.temporal.address is None and (port := folder.ports().get("temporal")):
        access = msgspec.structs.replace(settings.temporal, address=f"127.0.0.1:{port}")
        settings = msgspec.structs.replace(settings, temporal=access)
    return Subject(settings, environ, embedded=True, running=running, folder=folder.path)
