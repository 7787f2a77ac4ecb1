"""What the workflows of a batch and of its pages promise, whatever their stations do."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from activities.batch_tasks import Brought, HeardPack, Ingested, IngestPackTask, Pack, TranscribePackTask
from tests.workflows.batch_stations import BATCH, ScriptedBatch, start_batch
from tests.workflows.stations import beat, failure, start, working
from tiro.adapters.temporal import names
from tiro.model.blob import file_id
from tiro.model.hook import DeliveryTask

EVENTS, PAYLOAD_BYTES = 4_096, 256 << 10


async def _size(client: Client, workflow_id: str) -> tuple[int, int]:
    """(events, bytes of the largest one) of a history."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return len(history.events), max(len(event.SerializeToString()) for event in history.events)


async def test_every_file_goes_through_every_station_once(temporal_client: Client) -> None:
    """Pages of a hundred, asked for by twenty-five, heard in the packs that were made of them."""
    stations = ScriptedBatch(files=230)
    stations.delivery = DeliveryTask("evt_batch", (0.0,))
    async with working(temporal_client, stations):
        finished = await (await start_batch(temporal_client)).result()
        told = await temporal_client.get_workflow_handle(names.delivery_workflow_id("evt_batch")).result()
    assert (finished.outcome, told) == ("completed", "delivered")
    for station in ("ingest_pack", "transcribe_pack"):
        files = [index for task in stations.asked(station) for index in task.files]
        assert sorted(files) == list(range(230))
    assert max(len(task.files) for task in stations.asked("ingest_pack")) == 25
    assert sorted(task.page for task in stations.asked("finish_page")) == [0, 1, 2]
    order = [name for name, _ in stations.log]
    assert order.index("finish_batch") > max(n for n, name in enumerate(order) if name == "finish_page")


async def test_the_history_of_the_largest_batch_stays_small(temporal_client: Client) -> None:
    """Ten thousand files in four hundred packs: far under what Temporal bears, and under what we promise."""
    stations = ScriptedBatch(files=10_000)
    stations.make = lambda task: Ingested(packs=(Pack(f"1-{task.files[0]:05d}-0123456789ab", task.files),))
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
        batch = await _size(temporal_client, names.batch_workflow_id(BATCH.job_id, 1))
        page = await _size(temporal_client, names.page_workflow_id(BATCH.job_id, 1, 99))
    assert len(stations.asked("finish_page")) == 100
    assert batch[0] <= 1_500
    assert page[0] <= EVENTS
    assert max(batch[1], page[1]) <= PAYLOAD_BYTES


async def test_the_history_of_a_page_of_long_files_stays_small(temporal_client: Client) -> None:
    """A hundred children are the worst that a page can be; a quarter of them shows what each costs."""
    stations = ScriptedBatch(files=25)
    stations.make = lambda task: Ingested(long=task.files)
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
        events, payload_bytes = await _size(temporal_client, names.page_workflow_id(BATCH.job_id, 1, 0))
    closed = Counter(index for task in stations.asked("close_file") for index in task.files)
    assert closed == dict.fromkeys(range(25), 1)
    assert 4 * events <= EVENTS
    assert payload_bytes <= PAYLOAD_BYTES


async def test_a_long_file_whose_workflow_exists_is_waited_for(temporal_client: Client) -> None:
    """Somebody else has started it; that is no error."""
    stations = ScriptedBatch(files=2)
    stations.make = lambda task: Ingested(long=(1,), packs=(Pack("1-00000-0123456789ab", (0,)),))
    async with working(temporal_client, stations):
        launch = type(BATCH)(
            job_id=file_id(BATCH.job_id, 1), run=1, account_id=BATCH.account_id, dialect="transcribe", weight=1.0
        )
        await (await start(temporal_client, launch)).result()
        finished = await (await start_batch(temporal_client)).result()
    assert finished.outcome == "completed"
    assert [name for name, _ in stations.log if name in {"await_file", "close_file"}] == ["await_file", "close_file"]


async def test_what_is_in_passing_trouble_is_asked_for_again(temporal_client: Client) -> None:
    """Only that; what was prepared meanwhile is heard without waiting for it."""
    asked: list[tuple[int, ...]] = []

    def make(task: IngestPackTask) -> Ingested:
        asked.append(task.files)
        if len(asked) == 1:
            return Ingested(packs=(Pack("1-00000-0123456789ab", (0, 1)),), again=(2,), fetched_bytes=70)
        return Ingested(packs=(Pack("1-00002-0123456789ab", (2,)),))

    stations = ScriptedBatch(files=3)
    stations.make = make
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
    assert asked == [(0, 1, 2), (2,)]
    assert [task.room_bytes for task in stations.asked("ingest_pack")] == [(10 << 30) - 1_000, (10 << 30) - 1_070]
    assert sorted(task.files for task in stations.asked("transcribe_pack")) == [(0, 1), (2,)]


async def test_what_has_an_address_is_brought_in_turns_before_it_is_prepared(temporal_client: Client) -> None:
    """What is in passing trouble is asked for again when the others have gone on; nothing is fetched while it is prepared."""
    answers = {
        (0, 1, 2, 3): Brought(fetched_bytes=70, later=(1, 3), again=(2,)),
        (1, 3): Brought(fetched_bytes=5),
        (2,): Brought(fetched_bytes=1),
    }
    stations = ScriptedBatch(files=4, fetches=True)
    stations.fetched = lambda task: answers[task.files]
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
    asked = [(name, task.files) for name, task in stations.log if name in {"fetch_pack", "ingest_pack"}]
    assert asked == [
        ("fetch_pack", (0, 1, 2, 3)),
        ("fetch_pack", (1, 3)),
        ("ingest_pack", (0, 1, 3)),
        ("fetch_pack", (2,)),
        ("ingest_pack", (2,)),
    ]
    room_bytes = [(10 << 30) - 1_000 - fetched_bytes for fetched_bytes in (0, 70, 75)]
    assert [task.room_bytes for task in stations.asked("fetch_pack")] == room_bytes
    assert all(task.fetched for task in stations.asked("ingest_pack"))


async def test_a_batch_without_addresses_is_not_asked_for_any(temporal_client: Client) -> None:
    stations = ScriptedBatch(files=4)
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
    assert stations.asked("fetch_pack") == []


async def test_files_go_from_engine_to_engine_one_by_one(temporal_client: Client) -> None:
    """Heard again with the same, as long as that may help; then what it could not do with the next."""
    answers = {
        ("first", (0, 1, 2)): HeardPack(again=(1,), passed=(2,)),
        ("first", (1,)): HeardPack(passed=(1,)),
        ("second", (1, 2)): HeardPack(),
    }
    stations = ScriptedBatch(files=3)
    stations.listen = lambda task: answers[task.engines[0], task.files]
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
    heard = [(task.engines, task.files) for task in stations.asked("transcribe_pack")]
    assert heard == [(("first", "second"), (0, 1, 2)), (("first", "second"), (1,)), (("second",), (1, 2))]


async def test_what_ends_a_page_for_good_ends_the_batch(temporal_client: Client) -> None:
    """By its own code; the other pages are ended before it is settled."""

    def make(task: IngestPackTask) -> Ingested:
        raise failure("insufficient_funds")

    stations = ScriptedBatch(files=300)
    stations.make = make
    async with working(temporal_client, stations):
        finished = await (await start_batch(temporal_client)).result()
    assert finished.outcome == "failed"
    assert [(task.outcome, task.code) for task in stations.asked("settle")] == [("failed", "insufficient_funds")]
    assert stations.asked("finish_batch") == []


@pytest.mark.promise("T38")
async def test_fetched_bytes_count_for_the_whole_batch(temporal_client: Client) -> None:
    """Page by page, until there are too many."""
    stations = ScriptedBatch(files=100)
    stations.make = lambda task: Ingested(fetched_bytes=3 << 30)
    async with working(temporal_client, stations):
        await (await start_batch(temporal_client)).result()
    assert [task.code for task in stations.asked("settle")] == ["batch_too_large"]


async def test_cancel_ends_all_pages_before_it_cleans_up(temporal_client: Client) -> None:
    """Nothing writes behind the cleanup: every pack has ended when settle is asked."""
    hearing = asyncio.Event()
    running = Counter[str]()

    async def listen(task: TranscribePackTask) -> HeardPack:
        running["now"] += 1
        hearing.set()
        beats = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        finally:
            beats.cancel()
            running["now"] -= 1
            stations.log.append(("heard no more", task.files))
        return HeardPack()

    stations = ScriptedBatch(files=200)
    stations.listen = listen
    async with working(temporal_client, stations):
        handle = await start_batch(temporal_client)
        await hearing.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert [task.outcome for task in stations.asked("settle")] == ["cancelled"]
    order = [name for name, _ in stations.log]
    assert order.index("settle") > max(n for n, name in enumerate(order) if name == "heard no more")
    assert running["now"] == 0


async def test_a_page_that_an_operator_terminates_fails_the_batch(temporal_client: Client) -> None:
    """Its own end is not waited for for ever."""
    hearing = asyncio.Event()

    async def listen(task: TranscribePackTask) -> HeardPack:
        hearing.set()
        beats = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        finally:
            beats.cancel()
        return HeardPack()

    stations = ScriptedBatch(files=10)
    stations.listen = listen
    async with working(temporal_client, stations):
        handle = await start_batch(temporal_client)
        await hearing.wait()
        page = names.page_workflow_id(BATCH.job_id, 1, 0)
        await temporal_client.get_workflow_handle(page).terminate()
        finished = await handle.result()
    assert finished.outcome == "failed"
    assert [(task.code, task.reason) for task in stations.asked("settle")] == [("transient_error", "lost")]


async def test_a_priority_that_is_none_is_refused(temporal_client: Client) -> None:
    stations = ScriptedBatch(files=10)
    may_check = asyncio.Event()
    stations.listen = lambda task: _after(may_check)
    async with working(temporal_client, stations):
        handle = await start_batch(temporal_client)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("reprioritize", 6)
        await handle.execute_update("reprioritize", 1)
        assert (await handle.query("progress"))["priority"] == 1
        may_check.set()
        await handle.result()


async def test_a_batch_that_is_not_wanted_any_more_ends_without_a_word(temporal_client: Client) -> None:
    stations = ScriptedBatch()
    stations.batch = None
    async with working(temporal_client, stations):
        finished = await (await start_batch(temporal_client)).result()
    assert finished.outcome == "superseded"
    assert [name for name, _ in stations.log] == ["begin_batch"]


async def _after(event: asyncio.Event) -> Any:
    beats = asyncio.create_task(beat())
    await event.wait()
    beats.cancel()
    return HeardPack()
