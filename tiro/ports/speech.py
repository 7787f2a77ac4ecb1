"""Engines that hear words and diarizers that tell voices apart."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import msgspec

from tiro.model.media import Span
from tiro.model.speech import Diarization, EngineOptions, Heard, Task
from tiro.ports.audio import Samples


class Urgency(msgspec.Struct, frozen=True):
    """How soon a job's windows are taken, and whose they are (for cancelling those that wait)."""

    job_id: str
    priority: int = 3


class Engine(Protocol):
    """Hears words in windows of audio. One instance serves many jobs at once; where it can, windows of different jobs share a batch.

    `id` names it in the chain (`faster_whisper`); `model` is what transcripts claim (`whisper_large_v3`);
    `max_window_s` is the longest window it takes; `windows_in_flight` is how many it works on at once.
    """

    id: str
    model: str
    max_window_s: float
    windows_in_flight: int

    def supports(self, language: str | None, task: Task) -> bool:
        """Whether it can do this; language None asks whether it can find the language by itself."""
        ...

    async def start(self) -> None:
        """Get ready (model hosts, models). Raises Permanent `engine_unavailable` with a message that says how to get it."""
        ...

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        """One answer per window, in order, times from the window's start.

        Raises Transient (network, 5xx, `engine_crash` the first time), QuotaExceeded, Permanent. Cancelling the call drops its windows that
        wait; a running batch is finished and dropped.
        """
        ...

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        """Language code -> probability, per window."""
        ...

    async def stop(self) -> None:
        """End hosts and connections. Harmless when repeated."""
        ...


class SpanAudio(Protocol):
    """The audio of one span, read when asked."""

    span: Span

    def samples(self) -> Samples:
        """Load it."""
        ...


class Diarizer(Protocol):
    """Says who spoke when in one track of mixed voices. Blocking; heavy ones work in a child process."""

    id: str

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Exclusive, ordered turns over the whole recording; speakers numbered by first appearance. Raises Transient, Permanent."""
        ...

    def close(self) -> None:
        """End children. Harmless when repeated."""
        ...
