"""How an event reaches its receiver: attempts by a schedule that is data, until one is taken or the last has failed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.delivery import Delivering
    from activities.tasks import AttemptTask
    from tiro.model.hook import DeliveryTask
    from workflows.stations import run_station

_GRAIN_S = 2.0
"""Temporal's timers have a grain of a second; shorter waits are not worth a timer."""


@workflow.defn(name="Delivery")
class Delivery:
    """One event to one address."""

    def __init__(self) -> None:
        self._attempts = 0
        self._state = "pending"

    @workflow.run
    async def run(self, task: DeliveryTask) -> str:
        """The state in which the delivery ended: delivered, exhausted or stopped."""
        for number, (at_s, next_s) in enumerate(pairwise((*task.delays_s, None)), start=1):
            assert at_s is not None
            await self._wait_until(at_s)
            attempt = AttemptTask(task.event_id, number, None if next_s is None else next_s - at_s)
            tried = await run_station(Delivering.attempt, attempt)
            self._attempts, self._state = number, tried.state
            workflow.set_current_details(f"attempt {number}: {tried.state}")
            if tried.state != "pending":
                break
        return self._state

    async def _wait_until(self, at_s: float) -> None:
        """Seconds after this delivery began; an attempt that took long does not shift the rest."""
        elapsed_s = (workflow.now() - workflow.info().start_time).total_seconds()
        wait_s = at_s - elapsed_s
        if wait_s >= _GRAIN_S:
            await workflow.sleep(timedelta(seconds=wait_s), summary="until the next attempt")
        elif wait_s > 0:
            await workflow.sleep(timedelta(seconds=1))

    @workflow.query(name="progress")
    def progress(self) -> dict[str, str | int]:
        """Attempts made, and the state."""
        return {"attempts": self._attempts, "state": self._state}
