"""The Orchestrator port: what the relay and the services may rely on, from Temporal itself and from the fake that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError

from tests.workflows.batch_stations import BATCH, ScriptedBatch
from tests.workflows.stations import ScriptedStations, beat, working
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.adapters.temporal import names
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.devserver import free_port
from tiro.adapters.temporal.orchestrator import TemporalOrchestrator
from tiro.model.blob import BlobRef
from tiro.model.errors import Conflict, Transient
from tiro.model.hook import Delivery, DeliveryTask, SealedUrl
from tiro.model.temporal import TemporalAccess
from tiro.ports import Launch, Orchestrator

LAUNCH = Launch(job_id="job_1", run=1, account_id="acct_1", dialect="jobs", weight=3.0)
DELIVERY = Delivery(
    event_id="evt_1",
    job_id="job_1",
    account_id="acct_1",
    dialect="jobs",
    event="job.completed",
    url=SealedUrl(b"sealed", "receiver.example"),
    scheme="jobs",
    body=BlobRef("jobs/job_1/events/evt_1.json", 2, "00"),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest_asyncio.fixture(params=["temporal", "fake"])
async def orchestrator(request: pytest.FixtureRequest, temporal_client: Client) -> AsyncIterator[Orchestrator]:
    """No worker listens: what is started stays under way."""
    if request.param == "fake":
        yield RecordedOrchestrator()
    else:
        yield TemporalOrchestrator(temporal_client, patience_s=10)


async def test_starting_twice_is_starting_once(orchestrator: Orchestrator) -> None:
    """The relay may have died after the start and before it could note it."""
    await orchestrator.start_transcription(LAUNCH)
    await orchestrator.start_transcription(LAUNCH)
    assert await orchestrator.is_running("job_1", 1)


async def test_a_run_that_was_never_started_does_not_run(orchestrator: Orchestrator) -> None:
    """Reconciling asks this of jobs that seem lost."""
    assert not await orchestrator.is_running("job_9", 1)


@pytest.mark.promise("J10")
async def test_a_run_is_found_by_its_job_and_number(temporal_client: Client) -> None:
    """`job/<job id>/<run>`: recovery, operators and audits compute it; nobody keeps it anywhere."""
    await TemporalOrchestrator(temporal_client, patience_s=10).start_transcription(LAUNCH)
    found = await temporal_client.get_workflow_handle("job/job_1/1").describe()
    assert (found.workflow_type, found.task_queue) == (names.TRANSCRIPTION, names.CONTROL)


@pytest.mark.promise("J40")
async def test_a_run_brings_the_weight_of_its_account(temporal_client: Client) -> None:
    """Temporal shares its queues by it, account by account, and hands it on to every station of the run."""
    await TemporalOrchestrator(temporal_client, patience_s=10).start_transcription(LAUNCH)
    history = await temporal_client.get_workflow_handle("job/job_1/1").fetch_history()
    priority = history.events[0].workflow_execution_started_event_attributes.priority
    assert (priority.fairness_key, priority.fairness_weight, priority.priority_key) == ("acct_1", 3.0, 3)


async def test_what_is_under_way_can_be_listed(temporal_client: Client) -> None:
    """Batches too, and fetches not; visibility takes a moment."""
    orchestrator = TemporalOrchestrator(temporal_client, patience_s=10)
    await orchestrator.start_transcription(LAUNCH)
    await orchestrator.start_fetch(LAUNCH)
    await orchestrator.start_batch(msgspec.structs.replace(LAUNCH, job_id="job_2", run=3))
    async with asyncio.timeout(30):
        while len(found := await orchestrator.under_way()) < 2:
            await asyncio.sleep(0.05)
    assert sorted(found) == [("job_1", 1), ("job_2", 3)]


async def test_runs_of_one_job_are_told_apart(orchestrator: Orchestrator) -> None:
    """A retry is the next run."""
    await orchestrator.start_transcription(LAUNCH)
    assert not await orchestrator.is_running("job_1", 2)


async def test_a_fetch_ahead_is_started_once_and_is_no_run(orchestrator: Orchestrator) -> None:
    """The job has begun when its run has."""
    assert not await orchestrator.is_fetching("job_1", 1)
    await orchestrator.start_fetch(LAUNCH)
    await orchestrator.start_fetch(LAUNCH)
    assert await orchestrator.is_fetching("job_1", 1)
    assert not await orchestrator.is_fetching("job_1", 2)
    assert not await orchestrator.is_running("job_1", 1)


@pytest.mark.promise("J40")
async def test_a_fetch_ahead_is_found_by_its_job_and_weighs_as_its_account(temporal_client: Client) -> None:
    """`fetch/<job id>/<run>`; and it is none of those that are processing."""
    await TemporalOrchestrator(temporal_client, patience_s=10).start_fetch(LAUNCH)
    handle = temporal_client.get_workflow_handle("fetch/job_1/1")
    found, history = await handle.describe(), await handle.fetch_history()
    assert (found.workflow_type, found.task_queue) == (names.FETCH, names.CONTROL)
    assert found.typed_search_attributes[names.ACCOUNT] == "acct_1"
    assert names.STATUS not in found.typed_search_attributes
    priority = history.events[0].workflow_execution_started_event_attributes.priority
    assert (priority.fairness_key, priority.fairness_weight) == ("acct_1", 3.0)


async def test_cancel_reaches_the_fetch_ahead_of_a_run_that_has_not_begun(temporal_client: Client) -> None:
    """A job that waits has nothing else under way."""
    orchestrator = TemporalOrchestrator(temporal_client, patience_s=10)
    stations = ScriptedStations()
    stations.bring = beat
    async with working(temporal_client, stations):
        await orchestrator.start_fetch(LAUNCH)
        await orchestrator.cancel("job_1", 1)
        with pytest.raises(WorkflowFailureError):
            await temporal_client.get_workflow_handle("fetch/job_1/1").result()
    assert not await orchestrator.is_fetching("job_1", 1)


async def test_a_delivery_is_started_once(orchestrator: Orchestrator) -> None:
    """By the workflow of the job and by the relay, whichever comes first."""
    assert not await orchestrator.is_delivering("evt_1")
    await orchestrator.start_delivery(DELIVERY, DeliveryTask("evt_1", (0.0,)))
    await orchestrator.start_delivery(DELIVERY, DeliveryTask("evt_1", (0.0,)))
    assert await orchestrator.is_delivering("evt_1")


async def test_cancelling_what_is_gone_is_no_error(orchestrator: Orchestrator) -> None:
    """Cancel orders may be carried out late, or twice."""
    await orchestrator.cancel("job_9", 1)


async def test_steering_what_is_gone_is_a_conflict(orchestrator: Orchestrator) -> None:
    """An operator pauses a job that has just ended."""
    with pytest.raises(Conflict) as refused:
        await orchestrator.steer("job_9", 1, "pause")
    assert refused.value.code == "job_ended"


async def test_a_span_announced_to_nobody_is_no_error(orchestrator: Orchestrator) -> None:
    """Ingest may outlive its workflow."""
    await orchestrator.announce_span("job_9", 1, "plan", 0)


async def test_progress_of_what_is_gone_is_none(orchestrator: Orchestrator) -> None:
    """The record answers instead."""
    assert await orchestrator.progress("job_9", 1) is None


async def test_a_server_that_is_away_is_transient_and_soon_known() -> None:
    """A refused server takes the client ten seconds; nobody here waits that long."""
    client = await connect(TemporalAccess(f"127.0.0.1:{free_port()}"))
    away = TemporalOrchestrator(client, patience_s=0.3)
    calls: list[Any] = [
        away.start_transcription(LAUNCH),
        away.cancel("job_1", 1),
        away.is_running("job_1", 1),
        away.is_delivering("evt_1"),
        away.under_way(),
        away.over("job_1", 1),
    ]
    for call in calls:
        with pytest.raises(Transient) as refused:
            await call
        assert refused.value.code == "temporal_unavailable"
    assert await away.progress("job_1", 1) is None


async def test_a_running_job_answers_for_itself(temporal_client: Client) -> None:
    """Stage and spans, as the Temporal UI has them."""
    orchestrator = TemporalOrchestrator(temporal_client, patience_s=10, query_patience_s=5)
    async with working(temporal_client, ScriptedStations()):
        await orchestrator.start_transcription(LAUNCH)
        await temporal_client.get_workflow_handle("job/job_1/1").result()
        said = await orchestrator.progress("job_1", 1)
    assert said is not None
    assert said["stage"] == "ended"


async def test_a_batch_is_steered_and_answers_as_a_job_does(temporal_client: Client) -> None:
    """By its id and run alone: who steers need not know what it is."""
    orchestrator = TemporalOrchestrator(temporal_client, patience_s=10, query_patience_s=5)
    async with working(temporal_client, ScriptedBatch(files=30)):
        await orchestrator.start_batch(BATCH)
        await temporal_client.get_workflow_handle(names.batch_workflow_id(BATCH.job_id, 1)).result()
        said = await orchestrator.progress(BATCH.job_id, 1)
        with pytest.raises(Conflict):
            await orchestrator.steer(BATCH.job_id, 1, "pause")
    assert said is not None
    assert (said["stage"], said["files"], said["pages_left"]) == ("ended", 30, 0)


async def test_after_a_query_without_an_answer_nobody_is_asked_again_for_a_while(temporal_client: Client) -> None:
    """No worker was there to answer; now there is one, and it is left alone."""
    orchestrator = TemporalOrchestrator(temporal_client, patience_s=10, query_patience_s=0.5, unasked_s=600)
    await orchestrator.start_transcription(LAUNCH)
    assert await orchestrator.progress("job_1", 1) is None
    async with working(temporal_client, ScriptedStations()):
        await temporal_client.get_workflow_handle("job/job_1/1").result()
        assert await orchestrator.progress("job_1", 1) is None
