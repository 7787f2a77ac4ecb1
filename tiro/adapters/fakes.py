"""Time, names and a Temporal that a test decides. They keep the same promises as the real ones."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tiro.model.errors import Conflict, Transient
from tiro.model.hook import Delivery, DeliveryTask
from tiro.model.ids import ulid
from tiro.ports import Clock, Launch

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


class RecordedOrchestrator:
    """Remembers what it was told and runs nothing. `away`: every call gives up, as with a Temporal that is down."""

    def __init__(self) -> None:
        self.away = False
        self.launched: dict[tuple[str, int], Launch] = {}
        self.fetches: dict[tuple[str, int], Launch] = {}
        self.deliveries: dict[str, DeliveryTask] = {}
        self.cancelled: list[tuple[str, int]] = []
        self.steered: list[tuple[str, int, str, tuple[Any, ...]]] = []
        self.announced: list[tuple[str, int, str, int]] = []

    async def start_transcription(self, launch: Launch) -> None:
        """One that exists counts as started."""
        self._reach()
        self.launched.setdefault((launch.job_id, launch.run), launch)

    async def start_batch(self, launch: Launch) -> None:
        """One that exists counts as started."""
        await self.start_transcription(launch)

    async def start_fetch(self, launch: Launch) -> None:
        """One that exists counts as started."""
        self._reach()
        self.fetches.setdefault((launch.job_id, launch.run), launch)

    async def start_delivery(self, delivery: Delivery, task: DeliveryTask) -> None:
        """One that exists counts as started."""
        self._reach()
        self.deliveries.setdefault(delivery.event_id, task)

    async def cancel(self, job_id: str, run: int) -> None:
        """One that is gone counts as cancelled."""
        self._reach()
        self.cancelled.append((job_id, run))

    async def steer(self, job_id: str, run: int, update: str, *args: Any) -> None:
        """Conflict `job_ended` for what was never started."""
        self._reach()
        if (job_id, run) not in self.launched:
            raise Conflict("job_ended", "The job has ended.")
        self.steered.append((job_id, run, update, args))

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        """Noted."""
        self._reach()
        self.announced.append((job_id, run, plan, index))

    async def progress(self, job_id: str, run: int) -> dict[str, Any] | None:
        """Nobody works here: no answer."""
        return None

    async def is_running(self, job_id: str, run: int) -> bool:
        """What was started and not cancelled runs."""
        self._reach()
        return (job_id, run) in self.launched and (job_id, run) not in self.cancelled

    async def over(self, job_id: str, run: int) -> bool:
        """What was cancelled is over, and nothing else ever is."""
        self._reach()
        return (job_id, run) in self.cancelled

    async def under_way(self) -> list[tuple[str, int]]:
        """What was started and not cancelled."""
        self._reach()
        return [one for one in self.launched if one not in self.cancelled]

    async def is_fetching(self, job_id: str, run: int) -> bool:
        """What was started and not cancelled is under way."""
        self._reach()
        return (job_id, run) in self.fetches and (job_id, run) not in self.cancelled

    async def is_delivering(self, event_id: str) -> bool:
        """What was started is under way."""
        self._reach()
        return event_id in self.deliveries

    def _reach(self) -> None:
        if self.away:
            raise Transient("temporal_unavailable", "Temporal does not answer.")
