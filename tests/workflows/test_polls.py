"""The workers' health check: does it tell a container that polls from one that does not?"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.worker import Worker

from deploy import polls
from tiro.adapters.temporal.binary import get_binary
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.adapters.temporal.names import CONTROL
from tiro.model.temporal import TemporalAccess

HOST = socket.gethostname()


@activity.defn(name="nothing")
async def nothing() -> None:
    """What a worker needs to have one of."""


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[TemporalAccess]:
    place = DevServerPlace(database=None, log=tmp_path / "log", port=free_port(), ui_port=free_port())
    server = DevServer(await get_binary(os.environ, print), place)
    await server.start()
    yield TemporalAccess(address=place.address)
    await server.stop()


async def test_a_container_is_healthy_when_each_of_its_queues_is_polled_from_it(access: TemporalAccess) -> None:
    client = await connect(access, lazy=False)
    assert await polls.silent(client, ["control", "media"], HOST) == ["control", "media"]
    async with Worker(client, task_queue=CONTROL, activities=[nothing]):
        async with asyncio.timeout(20):
            while await polls.silent(client, ["control", "media"], HOST) != ["media"]:
                await asyncio.sleep(0.1)
        assert await polls.silent(client, ["control"], "another-container") == ["control"]


def test_the_queues_are_those_of_the_command_that_runs_here() -> None:
    init = ["/sbin/docker-init", "--", "python", "worker.py", "--queue", "control,media"]
    assert polls.queues([["python", "deploy/polls.py"], init]) == ["control", "media"]
    assert polls.queues([["python", "deploy/polls.py"]]) == []


def test_the_check_sees_the_commands_of_this_machine() -> None:
    assert any("pytest" in word for words in polls.running() for word in words)
