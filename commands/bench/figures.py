"""What came out of a bench? One run per way of hearing; the report is what `--json` prints."""

from __future__ import annotations

import msgspec

from commands.hearing import Heard


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: which recordings. `through`: `engine` (decoder and engine alone) or `line` (a server, from accepted to result)."""

    what: str
    through: str
    files: int
    audio_s: float
    took_s: float
    x_real_time: float
    files_per_s: float


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The engine and how it was set up. `measured`: which of these were chosen by measuring, here or at an earlier start."""

    engine: str
    model: str
    replicas: int
    batch: int
    context: str
    window_s: float
    measured: tuple[str, ...] = ()


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine, as this process may use it."""

    cores: int
    cards: int
    device: str
    memory_bytes: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `settings`: lines for `tiro.toml`; `advice`: sentences; `not_measured`: what these figures say nothing about."""

    machine: Host
    engine: Chosen | None
    model: str
    runs: tuple[Run, ...]
    speech_slots: int
    media_slots: int
    settings: tuple[str, ...]
    advice: tuple[str, ...]
    not_measured: tuple[str, ...]


def run_of(what: str, through: str, heard: Heard) -> Run:
    """Rounded as a person would say it."""
    return Run(
        what=what,
        through=through,
        files=heard.files,
        audio_s=round(heard.audio_s, 1),
        took_s=round(heard.took_s, 2),
        x_real_time=round(heard.speed, 1),
        files_per_s=round(heard.files / max(1e-6, heard.took_s), 2),
    )
