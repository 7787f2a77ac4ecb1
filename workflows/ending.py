"""How a run ends, and what follows: its marks for those who search, and a delivery that goes on by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, SearchAttributeUpdate
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.flow import Flow
    from activities.tasks import SettledAs, SettleTask
    from tiro.adapters.temporal import names
    from workflows.stations import run_station


async def settle(task: SettleTask) -> SettledAs:
    """End the run; one that is being ended ends as it was going to, though it be cancelled meanwhile."""
    settling = asyncio.create_task(run_station(Flow.settle, task))
    try:
        return await asyncio.shield(settling)
    except asyncio.CancelledError:
        return await settling


def mark_end(settled: SettledAs) -> None:
    """One upsert: status, error code, decoded seconds."""
    updates: list[SearchAttributeUpdate[Any]] = [names.STATUS.value_set(settled.outcome)]
    if settled.error_code:
        updates.append(names.ERROR_CODE.value_set(settled.error_code))
    if settled.decoded_s is not None:
        updates.append(names.AUDIO_SECONDS.value_set(round(settled.decoded_s)))
    workflow.upsert_search_attributes(updates)


async def deliver(settled: SettledAs) -> None:
    """Start the delivery and leave it alone: a dead receiver never keeps a job from finishing."""
    if settled.delivery is None:
        return
    try:
        await workflow.start_child_workflow(
            "Delivery",
            settled.delivery,
            id=names.delivery_workflow_id(settled.delivery.event_id),
            task_queue=names.CONTROL,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            priority=Priority(priority_key=3, fairness_key=settled.host),
            static_summary="deliver",
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.debug("the delivery was started before")
