"""What the egress tests share: a guard that lets them reach their own servers, a store, and limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.servers.scripted_http import Script, ScriptedHttp
from tiro.adapters.egress.guard import Guard
from tiro.adapters.storage.memory import MemoryBlobs, MemoryWriter
from tiro.model.media import MediaLimits

LIMIT_BYTES = 1_000_000


class StillClock:
    """It is always noon."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Shelf:
    """A store of one object, and whether its writers were ended."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs(StillClock())

    def writer(self, size_bytes: int | None = None) -> MemoryWriter:
        return self.blobs.writer("source")

    @property
    def content(self) -> bytes | None:
        return self.blobs.get("source") if self.blobs.head("source") else None

    @property
    def left_open(self) -> int:
        return len(self.blobs._open)


@pytest.fixture
def guard() -> Guard:
    return Guard(["127.0.0.0/8"])


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def limits() -> MediaLimits:
    return MediaLimits(max_duration_s=600, max_bytes=LIMIT_BYTES)


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def serve():
    """Start a server of scripts by path; it ends with the test."""
    running: list[ScriptedHttp] = []

    def start(scripts: dict[str, Script], **named: object) -> ScriptedHttp:
        server = ScriptedHttp(scripts, **named)
        running.append(server.__enter__())
        return server

    yield start
    for server in running:
        server.__exit__()


Serve = Callable[..., ScriptedHttp]
