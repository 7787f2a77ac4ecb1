"""What a namespace must have before work begins: our search attributes and our schedules. Made again harmlessly."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)

from tiro.adapters.temporal import names
from tiro.model.errors import Transient

UPKEEP_EVERY = timedelta(minutes=10)
UPKEEP_ID = "tiro/upkeep"
KNOWN_WITHIN_S = 60.0


async def missing_attributes(client: Client) -> list[str]:
    """Names of our search attributes that the namespace does not have."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [key.name for key in names.SEARCH_ATTRIBUTES if key.name not in answer.custom_attributes]


async def prepare_namespace(client: Client) -> list[str]:
    """Register what is missing, and put the schedules in place. Returns the names of the attributes that were added.

    Raises Transient `temporal_unavailable` when the cluster does not take them.
    """
    missing = await missing_attributes(client)
    if missing:
        types = {key.name: IndexedValueType.ValueType(int(key.indexed_value_type)) for key in names.SEARCH_ATTRIBUTES}
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes={name: types[name] for name in missing}
            )
        )
        await _until_known(client)
    await _put_schedule(client)
    return missing


async def _until_known(client: Client) -> None:
    try:
        async with asyncio.timeout(KNOWN_WITHIN_S):
            while await missing_attributes(client):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise Transient(
            "temporal_unavailable", f"Temporal did not take our search attributes within {KNOWN_WITHIN_S:.0f} s."
        ) from None


async def keep_histories(client: Client, kept_for: timedelta) -> None:
    """How long the namespace shows what has ended. For a server of our own; a shared cluster's operators decide for theirs."""
    ttl = Duration()
    ttl.FromTimedelta(kept_for)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=ttl))
    )


async def _put_schedule(client: Client) -> None:
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            names.UPKEEP, id="upkeep", task_queue=names.CONTROL, static_summary="purge, reconcile"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=UPKEEP_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )
    try:
        await client.create_schedule(UPKEEP_ID, schedule)
    except ScheduleAlreadyRunningError:
        with contextlib.suppress(ScheduleAlreadyRunningError):
            await client.get_schedule_handle(UPKEEP_ID).update(lambda _: ScheduleUpdate(schedule=schedule))
