"""What the workflow of a recording promises, whatever its stations do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from activities.tasks import Brief, TranscribeTask
from tests.workflows.stations import ScriptedStations, beat, failure, start, working
from tiro.adapters.temporal import names
from tiro.model.hook import DeliveryTask


async def _history_types(client: Client, workflow_id: str) -> list[str]:
    handle = client.get_workflow_handle(workflow_id)
    return [EventType.Name(event.event_type) async for event in handle.fetch_history_events()]


async def test_a_short_recording_takes_three_stations_and_its_voices(temporal_client: Client) -> None:
    """ingest, transcribe, finish; diarize runs beside; begin is local."""
    stations = ScriptedStations(spans=2)
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    assert finished.outcome == "completed"
    assert sorted(name for name, _ in stations.log) == ["begin", "diarize", "finish", "ingest", "transcribe"]
    assert stations.asked("transcribe")[0].spans == (0, 1)


async def test_a_long_recording_is_heard_span_by_span_while_it_is_cut(temporal_client: Client) -> None:
    """Spans are scheduled as they are announced, each once although ingest names them again at its end."""
    first_heard = asyncio.Event()
    stations = ScriptedStations(spans=20, announce=True)
    stations.hear = lambda task: first_heard.set()
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    heard = [task.spans for task in stations.asked("transcribe")]
    assert sorted(heard) == [(n,) for n in range(20)]
    assert [name for name, _ in stations.log if name in {"merge", "publish", "settle"}] == [
        "merge",
        "publish",
        "settle",
    ]
    assert finished.outcome == "completed"


async def test_at_most_sixteen_spans_are_in_flight(temporal_client: Client) -> None:
    """Pausing and reprioritising act on what is not yet scheduled."""
    stations = ScriptedStations(spans=40, announce=True)
    stations.hear = lambda task: asyncio.sleep(0.05)
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    assert len(stations.asked("transcribe")) == 40
    assert stations.most_running <= 16


async def test_no_more_spans_are_in_flight_than_the_brief_allows(temporal_client: Client) -> None:
    """On one machine a pause is felt after a few spans, not after sixteen."""
    brief = Brief(from_url=False, language="en", diarize=False, engines=("first",), detects=True, spans_in_flight=3)
    stations = ScriptedStations(spans=12, announce=True, brief=brief)
    stations.hear = lambda task: asyncio.sleep(0.05)
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    assert len(stations.asked("transcribe")) == 12
    assert stations.most_running <= 3


async def test_cancel_ends_running_stations_before_it_cleans_up(temporal_client: Client) -> None:
    """Nothing writes behind the cleanup: every span has ended when settle is asked."""
    hearing = asyncio.Event()

    async def hear(task: TranscribeTask) -> None:
        hearing.set()
        await asyncio.sleep(60)

    stations = ScriptedStations(spans=3, announce=True)
    stations.hear = hear
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        await asyncio.wait_for(hearing.wait(), 20)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    order = [name for name, _ in stations.log]
    assert stations.asked("settle")[0].outcome == "cancelled"
    last_end = max((n for n, name in enumerate(order) if name == "cancelled"), default=-1)
    assert last_end < order.index("settle")
    assert stations.running == 0


async def test_a_cancel_that_comes_while_a_run_is_being_ended_changes_nothing(temporal_client: Client) -> None:
    """It ends as it was going to, and its owner is told."""
    settling, may_settle = asyncio.Event(), asyncio.Event()

    async def close() -> None:
        settling.set()
        beats = asyncio.create_task(beat())
        await may_settle.wait()
        beats.cancel()

    stations = ScriptedStations()
    stations.cut, stations.close = _raising(failure("invalid_audio")), close
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        await settling.wait()
        await handle.cancel()
        while (seen := await _history_types(temporal_client, handle.id))[
            -1
        ] != "EVENT_TYPE_WORKFLOW_TASK_COMPLETED" or ("EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED" not in seen):
            await asyncio.sleep(0.1)
        may_settle.set()
        finished = await handle.result()
        seen = await _history_types(temporal_client, handle.id)
    assert finished.outcome == "failed"
    assert [task.outcome for task in stations.asked("settle")] == ["failed"]
    assert "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED" not in seen


async def test_a_worker_that_stops_while_its_station_is_cancelled_does_not_fail_the_job(
    temporal_client: Client,
) -> None:
    """The attempt ends as WorkerShutdown, but what was wanted is a cancel."""
    fetching = asyncio.Event()

    async def bring() -> None:
        fetching.set()
        beats = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise failure("WorkerShutdown") from None
        finally:
            beats.cancel()

    brief = Brief(from_url=True, language="en", diarize=False, engines=("first",), detects=True)
    stations = ScriptedStations(brief=brief)
    stations.bring = bring
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        await fetching.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert [task.outcome for task in stations.asked("settle")] == ["cancelled"]


async def test_a_failed_station_fails_the_job_with_its_own_code(temporal_client: Client) -> None:
    """The record gets the code, not a text."""
    stations = ScriptedStations()
    stations.cut = _raising(failure("invalid_audio"))
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    assert finished.outcome == "failed"
    assert stations.asked("settle")[0].code == "invalid_audio"


@pytest.mark.promise("J24", "J26")
async def test_a_passing_failure_moves_all_spans_to_the_next_engine(temporal_client: Client) -> None:
    """Decided once; spans that are done stay as they are."""

    async def hear(task: TranscribeTask) -> None:
        if task.engine == "first" and task.spans[0] >= 2:
            raise failure("transient_error", passing=True)

    stations = ScriptedStations(spans=5, announce=True)
    stations.hear = hear
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    parts = {part.index: part.engine for part in stations.asked("merge")[0].parts}
    assert parts[0] == parts[1] == "first"
    assert parts[2] == parts[3] == parts[4] == "second"


@pytest.mark.promise("J23")
async def test_a_spent_quota_is_no_reason_to_fall_back(temporal_client: Client) -> None:
    """Quota errors surface; the second engine is never asked."""

    async def hear(task: TranscribeTask) -> None:
        raise failure("quota_exceeded")

    stations = ScriptedStations()
    stations.hear = hear
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    assert finished.outcome == "failed"
    assert stations.asked("settle")[0].code == "quota_exceeded"
    assert {task.engine for task in stations.asked("transcribe")} == {"first"}


async def test_a_transcript_without_voices_is_still_a_transcript(temporal_client: Client) -> None:
    """A diarizer that fails leaves a warning."""
    stations = ScriptedStations()
    stations.voices = _raising(failure("engine_unavailable"))
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    merge = stations.asked("finish")[0]
    assert finished.outcome == "completed"
    assert merge.diarizer is None
    assert merge.warnings == ("diarization_failed",)


@pytest.mark.promise("J6")
async def test_the_language_is_voted_on_once(temporal_client: Client) -> None:
    """All spans are heard in the language of the vote."""
    brief = Brief(from_url=True, language=None, diarize=False, engines=("first",), detects=True)
    stations = ScriptedStations(spans=3, announce=True, brief=brief)
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    assert len(stations.asked("detect")) == 1
    assert len(stations.asked("fetch")) == 1
    assert {task.language for task in stations.asked("transcribe")} == {"de"}
    assert stations.asked("merge")[0].language_detected


@pytest.mark.promise("J27")
async def test_a_chain_of_one_language_detects_nothing_and_says_so(temporal_client: Client) -> None:
    """`auto` is asked of an engine that cannot tell languages apart: nobody votes, and nothing is called detected."""
    brief = Brief(from_url=False, language=None, diarize=False, engines=("first",), detects=False)
    stations = ScriptedStations(spans=3, announce=True, brief=brief)
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    assert stations.asked("detect") == []
    assert not stations.asked("merge")[0].language_detected


async def test_a_run_that_is_not_wanted_does_nothing(temporal_client: Client) -> None:
    """begin says no: no station is asked."""
    stations = ScriptedStations()
    stations.brief = None
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    assert finished.outcome == "superseded"
    assert [name for name, _ in stations.log] == ["begin"]


async def test_pause_holds_back_what_is_not_scheduled_until_resume(temporal_client: Client) -> None:
    """Paused before any span: none is heard; after resume all are."""
    may_cut = asyncio.Event()
    stations = ScriptedStations(spans=3, announce=True)
    stations.cut = may_cut.wait
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        await handle.execute_update("pause")
        may_cut.set()
        while (await handle.query("progress"))["spans_known"] < 3 or not (await handle.query("progress"))[
            "spans_final"
        ]:
            await asyncio.sleep(0.1)
        assert stations.asked("transcribe") == []
        await handle.execute_update("resume")
        await handle.result()
    assert len(stations.asked("transcribe")) == 3


async def test_reprioritize_reaches_what_is_scheduled_next(temporal_client: Client) -> None:
    """And refuses what is no priority."""
    may_cut = asyncio.Event()
    stations = ScriptedStations()
    stations.cut = may_cut.wait
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("reprioritize", 9)
        await handle.execute_update("reprioritize", 1)
        may_cut.set()
        await handle.result()
    assert stations.asked("transcribe")[0].priority == 1


async def test_operators_see_status_and_seconds_and_no_content(temporal_client: Client) -> None:
    """Search attributes at the end; no task of the workflow ever failed."""
    stations = ScriptedStations()
    stations.delivery = DeliveryTask("evt_1", (0.0,))
    async with working(temporal_client, stations):
        handle = await start(temporal_client)
        await handle.result()
        described = await handle.describe()
        await temporal_client.get_workflow_handle(names.delivery_workflow_id("evt_1")).result()
    attributes = described.typed_search_attributes
    assert attributes[names.STATUS] == "completed"
    assert attributes[names.AUDIO_SECONDS] == 12
    assert attributes[names.ACCOUNT] == "acct_1"
    assert not any("WORKFLOW_TASK_FAILED" in kind for kind in await _history_types(temporal_client, "job/job_1/1"))


def _raising(error: Exception) -> Any:
    async def call() -> None:
        raise error

    return call
