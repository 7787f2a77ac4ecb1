"""The peer of a batch: a parent workflow with one bare child per file, each with one activity that does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from datetime import timedelta
from typing import Self

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bench-bare"
IN_FLIGHT = 100
"""As many files as one page of a batch has."""


@activity.defn(name="nothing")
async def nothing(number: int) -> int:
    return number


@workflow.defn(name="BareChild")
class BareChild:
    @workflow.run
    async def run(self, number: int) -> int:
        return await workflow.execute_activity(nothing, number, start_to_close_timeout=timedelta(minutes=1))


@workflow.defn(name="BareParent")
class BareParent:
    @workflow.run
    async def run(self, first: int, count: int) -> int:
        name = workflow.info().workflow_id
        children = (
            workflow.execute_child_workflow(BareChild.run, number, id=f"{name}/{number}")
            for number in range(first, first + count)
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child) for child in children]
        return len(tasks)


class Bare:
    """A worker of its own, in this process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        worker = Worker(self._client, task_queue=QUEUE, workflows=[BareParent, BareChild], activities=[nothing])
        await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self, count: int) -> float:
        """Seconds for so many, a hundred at once."""
        began = time.perf_counter()
        for first in range(0, count, IN_FLIGHT):
            await self._client.execute_workflow(
                BareParent.run, args=[first, min(IN_FLIGHT, count - first)], id=f"bare/{uuid.uuid4()}", task_queue=QUEUE
            )
        return time.perf_counter() - began
