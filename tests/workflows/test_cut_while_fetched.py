"""What the workflow of a recording promises that is cut while it comes from its address."""

from __future__ import annotations

import asyncio

import msgspec
from temporalio.client import Client

from activities.tasks import Brief, FetchTask, TranscribeTask
from tests.workflows.stations import PLAN, ScriptedStations, announce, start, working

FROM_URL = Brief(from_url=True, language=None, diarize=False, engines=("first",), detects=True)


async def test_the_first_span_is_heard_before_the_last_byte_has_come(temporal_client: Client) -> None:
    """The address ends only when something was heard."""
    first_heard = asyncio.Event()
    stations = ScriptedStations(spans=3, announce=True, brief=FROM_URL)
    stations.hear = lambda task: first_heard.set()

    async def bring() -> None:
        await announce(PLAN, 0)
        await first_heard.wait()

    stations.bring = bring
    async with working(temporal_client, stations):
        finished = await (await start(temporal_client)).result()
    assert finished.outcome == "completed"
    assert stations.asked("fetch") == [FetchTask("job_1", 1, 300.0)]
    assert sorted(task.spans for task in stations.asked("transcribe")) == [(0,), (1,), (2,)]


async def test_what_was_heard_of_another_recording_is_not_in_the_transcript(temporal_client: Client) -> None:
    """An attempt died, and the address gives something else to the next one: its language is found and all of it heard anew."""
    stations = ScriptedStations(spans=2, announce=True, brief=FROM_URL)
    other_heard = asyncio.Event()

    async def hear(task: TranscribeTask) -> None:
        if task.plan == "other" and len(stations.asked("transcribe")) == 3:
            other_heard.set()

    async def bring() -> None:
        await announce("other", 0, 1, 2)
        await other_heard.wait()
        await announce(PLAN, 0)

    stations.hear, stations.bring = hear, bring
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    assert [task.plan for task in stations.asked("detect")] == ["other", PLAN]
    heard = [(task.plan, task.spans) for task in stations.asked("transcribe")]
    assert sorted(heard) == [("other", (0,)), ("other", (1,)), ("other", (2,)), (PLAN, (0,)), (PLAN, (1,))]
    (merged,) = stations.asked("merge")
    assert (merged.plan, [part.index for part in merged.parts]) == (PLAN, [0, 1])


async def test_spans_that_the_plan_does_not_have_are_left_out(temporal_client: Client) -> None:
    """The recording has become shorter, and is the same as far as it goes."""
    stations = ScriptedStations(spans=2, announce=True, brief=msgspec.structs.replace(FROM_URL, language="en"))
    stations.bring = lambda: announce(PLAN, 0, 1, 2)
    async with working(temporal_client, stations):
        await (await start(temporal_client)).result()
    (merged,) = stations.asked("merge")
    assert [part.index for part in merged.parts] == [0, 1]
