"""The first and the last station of a run, and the sweep: what a run begins with, how it ends, what is cleaned up."""

from __future__ import annotations

from typing import cast

from temporalio import activity

from activities.heartbeat import beating
from activities.tasks import Brief, Run, SettledAs, SettleTask
from tiro.model.errors import Permanent
from tiro.model.hook import host_key
from tiro.model.job import JobPatch, Outcome, Stage
from tiro.model.request import UrlSource
from tiro.services.ending import Endings, Fault, Settled
from tiro.services.line import Line
from tiro.services.upkeep import Swept, Upkeep


class Flow:
    """Changes of the record that order the run. Short, and on the control queue."""

    def __init__(self, line: Line, endings: Endings, upkeep: Upkeep, spans_in_flight: int = 16) -> None:
        self._line = line
        self._endings = endings
        self._upkeep = upkeep
        self._spans_in_flight = spans_in_flight

    @activity.defn(name="begin")
    async def begin(self, task: Run) -> Brief | None:
        """Claim the run for this workflow execution; None: it is not wanted (any more)."""
        job = await self._line.begin(task.job_id, task.run, activity.info().workflow_run_id or "")
        if job is None:
            return None
        engines = await self._line.engines(job)
        if not engines:
            raise Permanent("engine_unavailable", "No engine of this server can do this language and task.")
        return Brief(
            from_url=isinstance(job.source, UrlSource),
            language=job.options.language,
            diarize=job.options.diarize,
            engines=engines,
            detects=self._line.facts(engines[0]).detects,
            spans_in_flight=self._spans_in_flight,
        )

    @activity.defn(name="note")
    async def note(self, run: Run, stage: Stage, paused: bool) -> None:
        """Write the stage into the record, for those who ask the API."""
        await self._line.patch(run.job_id, run.run, JobPatch(stage=stage, paused=paused))

    @activity.defn(name="settle")
    async def settle(self, task: SettleTask) -> SettledAs:
        """End the run, once; a cancelled one is emptied."""
        fault = Fault(task.code, task.reason, task.extras) if task.code else None
        async with beating():
            settled = await self._endings.end(task.job_id, task.run, task.outcome, fault)
            if settled.job.state == "cancelled":
                await self._upkeep.empty(task.job_id)
            return settled_as(settled, self._endings)

    @activity.defn(name="sweep")
    async def sweep(self) -> Swept:
        """Purge, drop stale uploads, reconcile."""
        async with beating():
            return await self._upkeep.sweep()


def settled_as(settled: Settled, endings: Endings) -> SettledAs:
    """What the workflow is told: no address, only its digest."""
    job, delivery = settled.job, settled.delivery
    return SettledAs(
        # one that is not ended is at its next run, and only a failed run has a next one
        outcome=cast("Outcome", job.state) if job.ended else "failed",
        error_code=job.error_code,
        decoded_s=job.decoded_s,
        delivery=endings.delivery_task(delivery) if delivery else None,
        host=host_key(delivery.url) if delivery else None,
    )
