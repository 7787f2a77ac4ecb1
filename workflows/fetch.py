"""How the recording of a job that waits comes in before its address ends: one station, ahead of the run, and no slot of the account."""

from __future__ import annotations

import asyncio

import msgspec
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.flow import Flow
    from activities.recording import Recording
    from activities.tasks import Run
    from tiro.ports import Launch
    from workflows.ending import deliver, mark_end, settle_task
    from workflows.stations import run_station, told_of


class Brought(msgspec.Struct, frozen=True):
    """What became of it: `fetched`, `left` to the run itself, or how the job ended for it."""

    job: str
    outcome: str


@workflow.defn(name="Fetch")
class Fetch:
    """The recording of one run. Cancelled, it leaves the job as it is: who cancelled the job has ended it."""

    @workflow.run
    async def run(self, launch: Launch) -> Brought:
        """What is refused for good ends the job; what may pass is tried again by the run, when its turn has come."""
        try:
            await run_station(Recording.fetch_ahead, Run(launch.job_id, launch.run))
        except ActivityError as error:
            if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                raise asyncio.CancelledError from None
            told = told_of(error)
            if told is None:
                raise
            if told.passing or told.code == "superseded":
                return Brought(launch.job_id, "left")
            settled = await run_station(Flow.settle, settle_task(launch, "failed", told))
            mark_end(settled)
            await deliver(settled)
            return Brought(launch.job_id, settled.outcome)
        return Brought(launch.job_id, "fetched")
