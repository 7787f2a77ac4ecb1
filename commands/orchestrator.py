"""What stands in for Temporal while no server runs: it knows nothing of workflows and says what to do."""

from __future__ import annotations

from typing import Any

from tiro.model.errors import Transient
from tiro.model.hook import Delivery, DeliveryTask
from tiro.ports import Launch


class Away:
    """An `Orchestrator` without Temporal. Orders stay in the records and are carried out at the next start."""

    async def start_transcription(self, launch: Launch) -> None:
        raise _away()

    async def start_batch(self, launch: Launch) -> None:
        raise _away()

    async def start_fetch(self, launch: Launch) -> None:
        raise _away()

    async def start_delivery(self, delivery: Delivery, task: DeliveryTask) -> None:
        raise _away()

    async def cancel(self, job_id: str, run: int) -> None:
        raise _away()

    async def steer(self, job_id: str, run: int, update: str, *args: Any) -> None:
        raise _away()

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        raise _away()

    async def progress(self, job_id: str, run: int) -> dict[str, Any] | None:
        """Nothing moves."""
        return None

    async def is_running(self, job_id: str, run: int) -> bool:
        raise _away()

    async def over(self, job_id: str, run: int) -> bool:
        raise _away()

    async def under_way(self) -> list[tuple[str, int]]:
        raise _away()

    async def is_fetching(self, job_id: str, run: int) -> bool:
        raise _away()

    async def is_delivering(self, event_id: str) -> bool:
        raise _away()


def _away() -> Transient:
    return Transient("temporal_unavailable", "No server runs on this data folder; start `tiro up` for this.")
