"""Fixtures for batches: a house with an account that has money."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.servers.databases import sqlite_template, sqlite_url
from tests.workflows.batch_world import DOLLAR, BatchWorld, WorldMaker, batch_world

__all__ = ["sqlite_template", "sqlite_url"]


@pytest.fixture
async def make_world(tmp_path: Path, sqlite_url: str, temporal_client: Client) -> AsyncIterator[WorldMaker]:
    """With changes to its settings, and so much money."""
    async with AsyncExitStack() as stack:

        async def make(funds_micros: int = 10 * DOLLAR, **environ: str) -> BatchWorld:
            return await stack.enter_async_context(
                batch_world(tmp_path, sqlite_url, temporal_client, environ, funds_micros)
            )

        yield make


@pytest.fixture
async def world(make_world: WorldMaker) -> BatchWorld:
    return await make_world()
