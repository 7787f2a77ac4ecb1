"""Time and names that a test decides. They keep the same promises as the real ones."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from tiro.model.ids import ulid
from tiro.ports import Clock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SetClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self._now = now.astimezone(UTC)
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        """The moment it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Seconds it was moved forward in all; setting it back changes nothing here."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def set(self, now: datetime) -> None:
        """Step to a moment, back or forth, as a machine's clock may."""
        self._now = now.astimezone(UTC)


class CountedIds:
    """The first, the second, the third: the same names in every run."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SetClock()
        self._count = 0

    def new(self, prefix: str) -> str:
        """`<prefix>_<ULID>` of the clock's millisecond and a count."""
        self._count += 1
        return f"{prefix}_{ulid(int(self._clock.now().timestamp() * 1000), self._count.to_bytes(10, 'big'))}"

    def secret(self, size_bytes: int = 32) -> bytes:
        """Bytes that look random and are no secret at all."""
        self._count += 1
        return hashlib.shake_256(self._count.to_bytes(10, "big")).digest(size_bytes)
