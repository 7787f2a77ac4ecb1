"""Does a worker in this container poll its task queues? Exit 0 when the cluster has seen it lately; the health check of workers.

The queues are those of the container's own command (`--queue a,b`), read from process 1 or its child under an init.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from tiro import settings
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.names import QUEUES


def queues() -> list[str]:
    """Short names of the queues that this container's worker was started for."""
    for words in _commands():
        if "--queue" in words:
            return words[words.index("--queue") + 1].split(",")
    return []


def _commands() -> list[list[str]]:
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(status.read_text().split("\0"))
        except OSError:
            continue
    return found


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
    names = queues()
    client = await connect(settings.read(os.environ).temporal, lazy=False)
    missing = await silent(client, names, socket.gethostname())
    if missing or not names:
        print("no worker of this container polls:", ", ".join(missing) or "anything")
    return int(bool(missing) or not names)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
