"""One attempt to tell an owner how the job ended."""

from __future__ import annotations

from temporalio import activity

from activities.heartbeat import beating
from activities.tasks import AttemptTask
from tiro.services.hooks import Hooks, Tried


class Delivering:
    """Attempts. An attempt on record is not made again; what the receiver does is an answer, never an error."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    @activity.defn(name="attempt")
    async def attempt(self, task: AttemptTask) -> Tried:
        """Where the delivery stands after it."""
        async with beating():
            return await self._hooks.attempt(task.event_id, task.number, task.next_in_s)
