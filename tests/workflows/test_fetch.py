"""What the workflow of a recording that comes in ahead of its run promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError

from activities.tasks import Run, SettleTask
from tests.workflows.stations import ScriptedStations, beat, failure, start_fetch, working
from tiro.adapters.temporal import names
from tiro.model.hook import DeliveryTask


@pytest.mark.promise("J41")
async def test_a_recording_is_brought_in_and_its_job_left_in_line(temporal_client: Client) -> None:
    """One station; nothing is begun and nothing ended."""
    stations = ScriptedStations()
    async with working(temporal_client, stations):
        brought = await (await start_fetch(temporal_client)).result()
    assert (brought.job, brought.outcome) == ("job_1", "fetched")
    assert stations.log == [("fetch_ahead", Run("job_1", 1))]


@pytest.mark.promise("J41")
async def test_an_address_that_opens_nothing_ends_the_job_and_its_owner_is_told(temporal_client: Client) -> None:
    """As the run would have ended it; operators find it by its code."""
    stations = ScriptedStations()
    stations.bring = _raising("source_unavailable")
    stations.delivery = DeliveryTask("evt_1", (0.0,))
    async with working(temporal_client, stations):
        handle = await start_fetch(temporal_client)
        brought = await handle.result()
        described = await handle.describe()
        await temporal_client.get_workflow_handle(names.delivery_workflow_id("evt_1")).result()
    assert brought.outcome == "failed"
    task = SettleTask(job_id="job_1", run=1, outcome="failed", code="source_unavailable")
    assert stations.asked("settle") == [task]
    assert described.typed_search_attributes[names.ERROR_CODE] == "source_unavailable"


@pytest.mark.parametrize(("code", "passing"), [("source_timeout", True), ("superseded", False)])
async def test_what_may_pass_is_left_to_the_run(temporal_client: Client, code: str, passing: bool) -> None:
    """It tries again when its turn has come; a run that is no longer wanted is nobody's failure."""
    stations = ScriptedStations()
    stations.bring = _raising(code, passing=passing)
    async with working(temporal_client, stations):
        brought = await (await start_fetch(temporal_client)).result()
    assert brought.outcome == "left"
    assert stations.asked("settle") == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_cancelled_fetch_ends_nothing_but_itself(temporal_client: Client, at_once: bool) -> None:
    """Who cancels the job has ended it in the record; a worker that stops meanwhile changes nothing."""
    fetching = asyncio.Event()

    async def bring() -> None:
        fetching.set()
        beats = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if at_once:
                raise
            raise failure("WorkerShutdown") from None
        finally:
            beats.cancel()

    stations = ScriptedStations()
    stations.bring = bring
    async with working(temporal_client, stations):
        handle = await start_fetch(temporal_client)
        await fetching.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert stations.asked("settle") == []


def _raising(code: str, *, passing: bool = False) -> Callable[[], Awaitable[None]]:
    async def bring() -> None:
        raise failure(code, passing=passing)

    return bring
