"""The `Orchestrator` port on a Temporal client: workflows are started and steered by name, and no call waits long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tiro.adapters.temporal import names
from tiro.model.errors import Conflict, Transient
from tiro.model.hook import Delivery, DeliveryTask, host_key
from tiro.ports import Launch

T = TypeVar("T")
LONG_POLL_S = 60.0
UNASKED_S = 5.0
"""A query after a worker was killed waits for another worker; a poll of the API must not wait each time."""
_GONE = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}


class TemporalOrchestrator:
    """Starts what was ordered. Ids and numbers are all that Temporal learns."""

    def __init__(
        self, client: Client, *, patience_s: float = 2.0, query_patience_s: float = 0.3, unasked_s: float = UNASKED_S
    ) -> None:
        self._client = client
        self._patience_s = patience_s
        self._query_patience_s = query_patience_s
        self._unasked_s = unasked_s
        self._unasked_until_s = 0.0

    async def start_transcription(self, launch: Launch) -> None:
        """Start `job/<job id>/<run>`; one that exists counts as started."""
        status = SearchAttributePair(names.STATUS, "processing")
        workflow_id = names.job_workflow_id(launch.job_id, launch.run)
        await self._launch(names.TRANSCRIPTION, launch, workflow_id, launch.summary or "transcribe", status)

    async def start_batch(self, launch: Launch) -> None:
        """Start `batch/<job id>/<run>`; one that exists counts as started."""
        pairs = (SearchAttributePair(names.STATUS, "processing"), SearchAttributePair(names.BATCH, launch.job_id))
        workflow_id = names.batch_workflow_id(launch.job_id, launch.run)
        await self._launch(names.BATCH_WORKFLOW, launch, workflow_id, launch.summary or "batch", *pairs)

    async def start_fetch(self, launch: Launch) -> None:
        """Start `fetch/<job id>/<run>`; one that exists counts as started."""
        await self._launch(names.FETCH, launch, names.fetch_workflow_id(launch.job_id, launch.run), "fetch ahead")

    async def start_delivery(self, delivery: Delivery, task: DeliveryTask) -> None:
        """Start `deliver/<event id>`; one that exists counts as started."""
        await self._start(
            names.DELIVERY,
            task,
            workflow_id=names.delivery_workflow_id(delivery.event_id),
            queue=names.CONTROL,
            priority=Priority(priority_key=3, fairness_key=host_key(delivery.url)),
            attributes=TypedSearchAttributes([SearchAttributePair(names.ACCOUNT, delivery.account_id)]),
            summary=f"deliver {delivery.event}",
        )

    async def cancel(self, job_id: str, run: int) -> None:
        """Native cancel of the run, of a batch or not, and of the fetch ahead of it; what is gone counts as cancelled."""
        for handle in (self._fetch_handle(job_id, run), self._handle(job_id, run), self._batch_handle(job_id, run)):
            try:
                await self._patiently(handle.cancel())
            except RPCError as error:
                if error.status not in _GONE:
                    raise _unavailable() from None

    async def steer(self, job_id: str, run: int, update: str, *args: Any) -> None:
        """An update: `pause`, `resume`, `reprioritize`. Conflict `job_ended` when the workflow is gone."""
        for handle in (self._handle(job_id, run), self._batch_handle(job_id, run)):
            try:
                await self._patiently(handle.execute_update(update, args=list(args)), 10.0)
            except WorkflowUpdateFailedError:
                raise Conflict("job_ended", "The job does not take this now.") from None
            except RPCError as error:
                if error.status not in _GONE:
                    raise _unavailable() from None
            else:
                return
        raise Conflict("job_ended", "The job has ended.")

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        """Signal `span_ready`; a workflow that is gone needs it no more."""
        try:
            await self._patiently(self._handle(job_id, run).signal("span_ready", args=[plan, index]), 10.0)
        except RPCError as error:
            if error.status not in _GONE:
                raise _unavailable() from None

    async def progress(self, job_id: str, run: int) -> dict[str, Any] | None:
        """The workflow's own answer, or None when it does not come at once; after that nobody is asked for a while."""
        if time.monotonic() < self._unasked_until_s:
            return None
        for handle in (self._handle(job_id, run), self._batch_handle(job_id, run)):
            try:
                return await self._asked(handle)
            except Transient:
                break
            except RPCError as error:
                if error.status not in _GONE:
                    break
        else:
            return None
        self._unasked_until_s = time.monotonic() + self._unasked_s
        return None

    async def _asked(self, handle: Any) -> dict[str, Any]:
        patience = timedelta(seconds=self._query_patience_s)
        answer: dict[str, Any] = await self._patiently(
            handle.query("progress", rpc_timeout=patience), self._query_patience_s * 2
        )
        return answer

    async def is_running(self, job_id: str, run: int) -> bool:
        """By `describe`: False when it is closed or unknown. Of a batch or not."""
        return await self._runs(self._handle(job_id, run)) or await self._runs(self._batch_handle(job_id, run))

    async def over(self, job_id: str, run: int) -> bool:
        """Waits until the run (of no batch) is over, a minute at most; False when it is not, or is not known here yet."""
        try:
            async with asyncio.timeout(LONG_POLL_S):
                await self._handle(job_id, run).result()
        except WorkflowFailureError:
            return True
        except TimeoutError:
            return False
        except RPCError as error:
            if error.status in _GONE:
                return False
            raise _unavailable() from None
        except RuntimeError:
            # never reached so far
            raise _unavailable() from None
        return True

    async def under_way(self) -> list[tuple[str, int]]:
        """(job, run) of all runs that visibility calls running, batches included."""
        kinds = f"WorkflowType IN ('{names.TRANSCRIPTION}', '{names.BATCH_WORKFLOW}')"
        found: list[tuple[str, int]] = []
        try:
            async with asyncio.timeout(LONG_POLL_S):
                async for one in self._client.list_workflows(f"{kinds} AND ExecutionStatus = 'Running'"):
                    _, job_id, run = one.id.split("/")
                    found.append((job_id, int(run)))
        except (RPCError, TimeoutError, RuntimeError):
            raise _unavailable() from None
        return found

    async def is_fetching(self, job_id: str, run: int) -> bool:
        """Whether the fetch ahead of this run is under way; by `describe`."""
        return await self._runs(self._fetch_handle(job_id, run))

    async def is_delivering(self, event_id: str) -> bool:
        """Whether the delivery of this event is under way; by `describe`."""
        return await self._runs(self._client.get_workflow_handle(names.delivery_workflow_id(event_id)))

    async def _runs(self, handle: Any) -> bool:
        try:
            description = await self._patiently(handle.describe())
        except RPCError as error:
            if error.status in _GONE:
                return False
            raise _unavailable() from None
        return bool(description.status == WorkflowExecutionStatus.RUNNING)

    def _handle(self, job_id: str, run: int) -> Any:
        return self._client.get_workflow_handle(names.job_workflow_id(job_id, run))

    def _batch_handle(self, job_id: str, run: int) -> Any:
        return self._client.get_workflow_handle(names.batch_workflow_id(job_id, run))

    def _fetch_handle(self, job_id: str, run: int) -> Any:
        return self._client.get_workflow_handle(names.fetch_workflow_id(job_id, run))

    async def _launch(
        self, name: str, launch: Launch, workflow_id: str, summary: str, *attributes: SearchAttributePair[Any]
    ) -> None:
        await self._start(
            name,
            launch,
            workflow_id=workflow_id,
            queue=names.CONTROL,
            priority=Priority(
                priority_key=launch.priority, fairness_key=launch.account_id, fairness_weight=launch.weight
            ),
            attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(names.ACCOUNT, launch.account_id),
                    SearchAttributePair(names.DIALECT, launch.dialect),
                    SearchAttributePair(names.FLAGS, list(launch.flags)),
                    *attributes,
                ]
            ),
            summary=summary,
        )

    async def _start(
        self,
        name: str,
        argument: Any,
        *,
        workflow_id: str,
        queue: str,
        priority: Priority,
        attributes: TypedSearchAttributes,
        summary: str,
    ) -> None:
        try:
            await self._patiently(
                self._client.start_workflow(
                    name,
                    argument,
                    id=workflow_id,
                    task_queue=queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    priority=priority,
                    search_attributes=attributes,
                    static_summary=summary,
                )
            )
        except WorkflowAlreadyStartedError:
            return
        except RPCError:
            raise _unavailable() from None

    async def _patiently(self, call: Awaitable[T], patience_s: float | None = None) -> T:
        """A refused server takes 10 s to say so and a hung one 30 s; nobody here waits for that."""
        try:
            async with asyncio.timeout(patience_s or self._patience_s):
                return await call
        except (TimeoutError, RuntimeError):
            raise _unavailable() from None


def _unavailable() -> Transient:
    return Transient("temporal_unavailable", "The Temporal server does not answer.")
