"""What the workflow of a webhook promises."""

from __future__ import annotations

import itertools

import pytest
from temporalio.client import Client

from tests.workflows.stations import ScriptedStations, working
from tiro.adapters.temporal import names
from tiro.model.hook import SCHEDULES_S, DeliveryTask, delays_s
from tiro.services.signing import OVERLAP


async def _deliver(client: Client, stations: ScriptedStations, delays: tuple[float, ...]) -> str:
    async with working(client, stations):
        answer: str = await client.execute_workflow(
            "Delivery", DeliveryTask("evt_1", delays), id="deliver/evt_1", task_queue=names.CONTROL, result_type=str
        )
        return answer


async def test_attempts_stop_at_the_first_that_is_taken(temporal_client: Client) -> None:
    """Numbered from 1, each told how long until the next."""
    stations = ScriptedStations()
    stations.answers = ["pending", "pending", "delivered"]
    assert await _deliver(temporal_client, stations, (0.0, 0.2, 0.4, 0.6)) == "delivered"
    assert [task.number for task in stations.asked("attempt")] == [1, 2, 3]


async def test_the_last_attempt_knows_that_it_is_the_last(temporal_client: Client) -> None:
    """After it nothing is tried again."""
    stations = ScriptedStations()
    stations.answers = ["pending", "exhausted"]
    assert await _deliver(temporal_client, stations, (0.0, 0.2)) == "exhausted"
    assert [task.next_in_s for task in stations.asked("attempt")][-1] is None


@pytest.mark.promise("J38")
def test_the_schedule_of_jobs_ends_within_a_day() -> None:
    """0, 10 s, 30 s, 2 m, 10 m, 30 m, 1 h, then hourly until 24 h after the end."""
    schedule = SCHEDULES_S["jobs"]
    assert schedule[:7] == (0, 10, 30, 120, 600, 1800, 3600)
    assert all(b - a == 3600 for a, b in itertools.pairwise(schedule[6:]))
    assert schedule[-1] == 24 * 3600
    assert delays_s("jobs", 0.5)[1] == 5.0


@pytest.mark.promise("T28")
def test_the_schedule_of_the_transcribe_api_begins_at_once_and_ends_within_the_keys_overlap() -> None:
    """0, 1 m, 5 m, 30 m, 3 h, 12 h after the end."""
    assert delays_s("transcribe") == (0, 60, 300, 1800, 3 * 3600, 12 * 3600)
    assert SCHEDULES_S["transcribe"][-1] < OVERLAP.total_seconds()
