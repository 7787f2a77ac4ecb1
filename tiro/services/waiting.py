"""Who waits for a job to end? However many do, in one process they are one task, and the row says what happened."""

from __future__ import annotations

import asyncio
import contextlib

from tiro.model.errors import NotFound, Transient
from tiro.model.job import Job
from tiro.ports import Orchestrator, Records

SOON_S, LATER_S = 0.25, 2.0
"""From the first to the last pause between two questions that Temporal answers at once: the run has not begun there, or it is away."""
LOOK_S = 5.0
"""While Temporal is waited for, the row is looked at so often: an end that it cannot tell of is seen all the same."""


class _Shared:
    """The one task of a job, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Job]) -> None:
        self.task = task
        self.waiters = 0
        # who waited may have gone when it fails
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


class Waits:
    """Waits on runs and believes rows. What is away for a while ends no wait; who stops waiting stops nothing but that."""

    def __init__(self, records: Records, orchestrator: Orchestrator) -> None:
        self._records = records
        self._orchestrator = orchestrator
        self._shared: dict[str, _Shared] = {}
        self._closing = asyncio.Event()

    @property
    def waiting(self) -> dict[str, int]:
        """Job -> how many wait for it here."""
        return {job_id: shared.waiters for job_id, shared in self._shared.items()}

    def let_go(self) -> None:
        """This process is about to end: whoever waits, or comes from now on, is told how the job stands. It goes on elsewhere."""
        self._closing.set()

    async def ended(self, job: Job, within_s: float) -> Job:
        """The job (no batch) as it ended, or as it stands after so long or when it is let go.

        Raises NotFound `job_not_found` when it is deleted meanwhile.
        """
        if job.ended:
            return job
        shared = self._shared.get(job.job_id)
        if shared is None or shared.task.done():
            shared = self._shared[job.job_id] = _Shared(asyncio.create_task(self._end(job), name=f"wait {job.job_id}"))
        shared.waiters += 1
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait([shared.task, closing], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            return shared.task.result() if shared.task.done() else await self._seen(job)
        finally:
            closing.cancel()
            shared.waiters -= 1
            if shared.waiters == 0:
                shared.task.cancel()
                if self._shared.get(job.job_id) is shared:
                    del self._shared[job.job_id]

    async def _end(self, job: Job) -> Job:
        pause_s, over = SOON_S, False
        asking: asyncio.Task[bool] | None = None
        try:
            while not (job := await self._seen(job)).ended:
                asking = asking or asyncio.create_task(self._over(job))
                answered, _ = await asyncio.wait([asking], timeout=LOOK_S)
                if not answered:
                    continue
                before, over, asking = over, asking.result(), None
                if before or not over:
                    # over twice: a run was ended behind our back, and upkeep will write that
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, LATER_S)
        finally:
            if asking is not None:
                asking.cancel()
        return job

    async def _over(self, job: Job) -> bool:
        with contextlib.suppress(Transient):
            return await self._orchestrator.over(job.job_id, job.run)
        return False

    async def _seen(self, job: Job) -> Job:
        """The row, else what is known of it: a job that was accepted is no error because the database is away."""
        try:
            async with self._records.look() as tx:
                seen = await tx.jobs.get(job.job_id)
        except Transient:
            return job
        if seen is None or seen.deleted_at is not None:
            raise NotFound("job_not_found", "There is no such job.")
        return seen
