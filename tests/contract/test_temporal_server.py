"""The Temporal server beside `tiro up`, and what a namespace is given before work begins."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from tiro.adapters.temporal.binary import find_binary
from tiro.adapters.temporal.client import is_serving
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.adapters.temporal.namespace import UPKEEP_ID, keep_histories, missing_attributes, prepare_namespace
from tiro.model.errors import Transient
from tiro.model.temporal import TemporalAccess


async def test_a_server_that_is_killed_comes_back_with_what_it_knew(tmp_path: Path) -> None:
    """Its file is kept; the keeper starts it again on the same port."""
    binary = find_binary(os.environ)
    assert binary is not None, "run 'make test' once: it builds the Temporal server"
    server = DevServer(binary, DevServerPlace(tmp_path / "temporal.db", tmp_path / "log", free_port(), free_port()))
    await server.start()
    try:
        client = await Client.connect(server.place.address)
        await client.start_workflow("Waiting", id="kept", task_queue="nobody")
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(30):
            while server.pid in {None, first} or not await is_serving(TemporalAccess(server.place.address)):
                await asyncio.sleep(0.1)
        again = await Client.connect(server.place.address)
        assert (await again.get_workflow_handle("kept").describe()).id == "kept"
    finally:
        await server.stop()
    assert server.pid is None


async def test_a_server_whose_port_another_one_has_is_not_taken_for_ours(temporal_address: str, tmp_path: Path) -> None:
    """Calls would be answered, with another's jobs."""
    binary = find_binary(os.environ)
    assert binary is not None, "run 'make test' once: it builds the Temporal server"
    taken = int(temporal_address.rpartition(":")[2])
    server = DevServer(binary, DevServerPlace(None, tmp_path / "log", taken, free_port()))
    with pytest.raises(Transient, match="is taken"):
        await server.start()
    assert free_port(taken) != taken


async def test_a_server_that_does_not_answer_in_time_is_not_left_behind(tmp_path: Path) -> None:
    """Nobody would end it, and it holds the file."""
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 60\n")
    mute.chmod(0o700)
    server = DevServer(mute, DevServerPlace(None, tmp_path / "log", free_port(), free_port()))
    with pytest.raises(Transient, match="did not answer"):
        await server.start(timeout_s=0.5)
    assert server.pid is None


async def test_preparing_a_namespace_twice_is_preparing_it_once(temporal_client: Client) -> None:
    """Attributes and schedule; workers never make them."""
    await prepare_namespace(temporal_client)
    assert await prepare_namespace(temporal_client) == []
    assert await missing_attributes(temporal_client) == []
    schedule = await temporal_client.get_schedule_handle(UPKEEP_ID).describe()
    assert schedule.schedule.spec.intervals


async def test_histories_are_kept_as_long_as_asked(temporal_client: Client) -> None:
    """A server of our own shows a week of jobs, not a day."""
    await keep_histories(temporal_client, timedelta(days=7))
    described = await temporal_client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=temporal_client.namespace)
    )
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=7)
