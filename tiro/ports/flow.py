"""What the core asks of Temporal."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from tiro.model.hook import Delivery, DeliveryTask


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What Temporal is told when a run starts. Ids and numbers only."""

    job_id: str
    run: int
    account_id: str
    dialect: str
    weight: float
    priority: int = 3
    flags: tuple[str, ...] = ()
    summary: str = ""


class Orchestrator(Protocol):
    """Starts and steers workflows by name. Every call gives up after a short time with Transient `temporal_unavailable`."""

    async def start_transcription(self, launch: Launch) -> None:
        """Start `job/<job id>/<run>`; one that exists counts as started."""
        ...

    async def start_batch(self, launch: Launch) -> None:
        """Start `batch/<job id>/<run>`; one that exists counts as started."""
        ...

    async def start_fetch(self, launch: Launch) -> None:
        """Start `fetch/<job id>/<run>`; one that exists counts as started."""
        ...

    async def start_delivery(self, delivery: Delivery, task: DeliveryTask) -> None:
        """Start `deliver/<event id>`; one that exists counts as started."""
        ...

    async def cancel(self, job_id: str, run: int) -> None:
        """Native cancel of the run, of a batch or not, and of the fetch ahead of it; what is gone counts as cancelled."""
        ...

    async def steer(self, job_id: str, run: int, update: str, *args: Any) -> None:
        """An update: `pause`, `resume`, `reprioritize`. Conflict `job_ended` when the workflow is gone."""
        ...

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        """Tell a running workflow that a span is final; one that is gone needs it no more."""
        ...

    async def progress(self, job_id: str, run: int) -> dict[str, Any] | None:
        """The workflow's own answer, or None when it does not come at once."""
        ...

    async def is_running(self, job_id: str, run: int) -> bool:
        """By `describe`: False when it is closed or unknown. Of a batch or not."""
        ...

    async def over(self, job_id: str, run: int) -> bool:
        """Waits until the run (of no batch) is over, a minute at most; False when it is not, or is not known here yet."""
        ...

    async def under_way(self) -> list[tuple[str, int]]:
        """(job, run) of all runs that visibility calls running, batches included; it lags, so ask `is_running` before judging."""
        ...

    async def is_fetching(self, job_id: str, run: int) -> bool:
        """Whether the fetch ahead of this run is under way; by `describe`."""
        ...

    async def is_delivering(self, event_id: str) -> bool:
        """Whether the delivery of this event is under way; by `describe`."""
        ...
