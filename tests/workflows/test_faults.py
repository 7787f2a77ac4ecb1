"""Is a failed attempt told once in a worker's log, by us, and not again by the SDK?"""

from __future__ import annotations

import pytest
from temporalio.client import Client

from activities.faults import Faults
from tests.unit.services.conftest import clock, desk, sqlite_template, sqlite_url
from tests.unit.services.desk import Desk
from tests.workflows.stations import ScriptedStations, start_fetch, working
from tiro.model.errors import Permanent

__all__ = ["clock", "desk", "sqlite_template", "sqlite_url"]


async def test_a_failed_attempt_is_one_line_in_the_log(
    temporal_client: Client, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """With whose it was; no traceback beside it."""

    async def bring() -> None:
        raise Permanent("engine_refused")

    stations = ScriptedStations()
    stations.bring = bring
    async with working(temporal_client, stations, Faults(desk.line)):
        brought = await (await start_fetch(temporal_client)).result()
    assert brought.outcome == "failed"
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["station fetch_ahead, job job_1 run 1 index 0, attempt 1: engine_refused (Permanent)"]
    assert all(record.exc_info is None for record in caplog.records)
