"""Does a worker in this container poll its task queues? Exit 0 when the cluster has seen it lately; the health check of workers.

The queues are those of the container's own command (`--queue a,b`), read from its processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from tiro import settings
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.names import QUEUES


def queues(commands: Iterable[list[str]]) -> list[str]:
    """Short names of the queues that the first worker among the commands was started for."""
    for words in commands:
        if "--queue" in words:
            return words[words.index("--queue") + 1].split(",")
    return []


def running() -> Iterator[list[str]]:
    """The words of each command that runs in this container."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield line.read_text().split("\0")


async def silent(client: Client, names: list[str], host: str) -> list[str]:
    """Those of the queues that no worker on `host` polls. A worker's identity ends in `@<host>`."""
    kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    found = []
    for name in names:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=QUEUES[name]), task_queue_type=kind
            )
        )
        if not any(poller.identity.endswith(f"@{host}") for poller in answer.pollers):
            found.append(name)
    return found


async def main() -> int:
    names = queues(running())
    client = await connect(settings.read(os.environ).temporal, lazy=False)
    missing = await silent(client, names, socket.gethostname())
    if missing or not names:
        print("no worker of this container polls:", ", ".join(missing) or "anything")
    return int(bool(missing) or not names)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
