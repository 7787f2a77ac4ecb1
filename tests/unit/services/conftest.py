"""Fixtures: the services over a migrated SQLite database of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.databases import SteppedClock, clock, sqlite_template, sqlite_url
from tests.unit.services.desk import Desk
from tiro.adapters.database.records import open_records

__all__ = ["clock", "sqlite_template", "sqlite_url"]


@pytest.fixture
async def desk(sqlite_url: str, clock: SteppedClock) -> AsyncIterator[Desk]:
    records = open_records(sqlite_url, clock)
    yield Desk(records, clock)
    await records.close()
