"""What a batch promises from its manifest to its document, on a real Temporal server."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.media_builder import encode, numbered, wav
from tests.workflows.batch_world import PRICE_MICROS, BatchWorld, WorldMaker, spoken, words
from tiro.adapters.temporal import names
from tiro.model.batch import BatchEntryWish
from tiro.model.blob import file_id
from tiro.model.errors import Invalid
from tiro.model.wallet import Balance, cost_micros

TEXT = b"no recording at all " * 100


@pytest.mark.promise("T40")
async def test_all_files_are_heard_and_stand_in_one_document(world: BatchWorld) -> None:
    """In the order of the manifest, each with its own words; paid for once, and nothing stays held or behind."""
    before = await world.balance()
    recordings = [spoken(index) for index in range(30)]
    async with world.working():
        job_id = await world.submit(recordings)
        job = await world.ended(job_id)
    assert (job.files_done, job.files_failed, job.billed_s) == (30, 0, 60)
    document = await world.document(job_id)
    assert [one["reference_id"] for one in document["results"]] == [f"name-{index}" for index in range(30)]
    assert await world.texts(job_id) == [words(index) for index in range(30)]
    assert (document["succeeded"], document["failed"], document["billed_seconds"]) == (30, 0, 60)
    assert await world.balance() == Balance(before.balance_micros - cost_micros(60, PRICE_MICROS), 0)
    assert not [name for name in await world.objects(job_id) if name.startswith("packs/")]


async def test_a_file_that_is_refused_costs_no_other(world: BatchWorld) -> None:
    """Text, nothing, and silence among recordings of many kinds: each ends by itself, and only what was heard is paid for."""
    recordings = [spoken(0), TEXT, b"", wav(numbered(3, 30)), encode(numbered(2, 40), "mp3"), wav(numbered(2) * 0)]
    async with world.working():
        job_id = await world.submit(recordings)
        job = await world.ended(job_id)
    assert (job.files_done, job.files_failed, job.billed_s) == (6, 3, 2 + 3 + 2)
    refused = "failed_unsupported_batch_format"
    assert await world.texts(job_id) == [words(0), refused, refused, "w30 w31 w32", "w40 w41", refused]
    assert (await world.document(job_id))["status"] == "completed_with_errors"


async def test_a_batch_of_which_nothing_can_be_used_has_failed(world: BatchWorld) -> None:
    """By a word of its own; nothing is charged, there is no document."""
    async with world.working():
        job_id = await world.submit([TEXT, b"", TEXT])
        job = await world.ended(job_id, "failed")
    assert (job.error_code, job.files_failed, job.cost_micros) == ("no_usable_file", 3, 0)
    assert "results/document.json" not in await world.objects(job_id)


async def test_files_longer_than_a_pack_are_recordings_of_their_own(world: BatchWorld) -> None:
    """Beside the short ones; their rows have no slot, no webhook and no price; the batch pays."""
    async with world.working():
        job_id = await world.submit([spoken(0), wav(numbered(310, 100)), spoken(1)])
        job = await world.ended(job_id)
    assert (job.files_done, job.files_failed, job.billed_s) == (3, 0, 2 + 310 + 2)
    texts = await world.texts(job_id)
    assert [texts[0], texts[2]] == [words(0), words(1)]
    assert texts[1].split() == [f"w{n}" for n in range(100, 410)]
    async with world.house.records.begin() as tx:
        file = await tx.jobs.get(file_id(job_id, 1))
    assert file is not None
    assert (file.state, file.run, file.batch_id, file.priority) == ("completed", 1, job_id, 4)
    assert (file.cost_micros, file.billed_s, file.admitted) == (None, 0, False)
    found = await world.client.get_workflow_handle(names.job_workflow_id(file.job_id, 1)).describe()
    assert found.typed_search_attributes[names.BATCH] == job_id


@pytest.mark.promise("T45")
async def test_each_file_may_have_a_language_of_its_own(make_world: WorldMaker) -> None:
    """Over that of the job; one that no engine knows is refused at once."""
    world = await make_world(TIRO_ENGINES="scripted:name=one;languages=en|de,scripted:name=two;languages=fr")
    spoken_in = ["en", "fr", None, "ja", "de"]

    def wish(index: int, one: BatchEntryWish) -> BatchEntryWish:
        return msgspec.structs.replace(one, language=spoken_in[index])

    async with world.working():
        with pytest.raises(Invalid):
            await world.submit([spoken(index) for index in range(5)], wishes=wish)
        spoken_in[3] = "fr"
        job_id = await world.submit([spoken(index) for index in range(5)], wishes=wish)
        await world.ended(job_id)
    results = (await world.document(job_id))["results"]
    assert [one["detected_language"] for one in results] == ["en", "fr", "en", "fr", "de"]


async def test_an_engine_that_stumbles_is_asked_again_and_then_the_next(make_world: WorldMaker) -> None:
    """Two failures are passing; an engine that always fails leaves its files to the next of the chain."""
    world = await make_world(
        TIRO_ENGINES="scripted:name=one;fail=transient_error*2;model=first,scripted:name=two;model=second"
    )
    async with world.working():
        once = await world.submit([spoken(index) for index in range(4)])
        await world.ended(once)
    assert {one["model"] for one in (await world.document(once))["results"]} == {"first"}
    assert await world.texts(once) == [words(index) for index in range(4)]


async def test_an_engine_that_always_fails_is_left_for_the_next(make_world: WorldMaker) -> None:
    world = await make_world(
        TIRO_ENGINES="scripted:name=one;fail=transient_error;model=first,scripted:name=two;model=second"
    )
    async with world.working():
        job_id = await world.submit([spoken(index) for index in range(4)])
        await world.ended(job_id)
    assert {one["model"] for one in (await world.document(job_id))["results"]} == {"second"}


async def test_files_that_no_engine_hears_fail_one_by_one(make_world: WorldMaker) -> None:
    world = await make_world(TIRO_ENGINES="scripted:fail=transient_error")
    async with world.working():
        job_id = await world.submit([spoken(0), TEXT])
        job = await world.ended(job_id, "failed")
    assert await world.ends(job_id) == {0: "transient_error", 1: "invalid_audio"}
    assert (job.error_code, (await world.balance()).held_micros) == ("transient_error", 0)


async def test_without_money_for_anything_the_batch_fails(make_world: WorldMaker) -> None:
    """It was taken in, since one second could be paid; not one of its files can."""
    world = await make_world(cost_micros(1, PRICE_MICROS))
    async with world.working():
        job_id = await world.submit([spoken(0, 3), spoken(1, 3)])
        job = await world.ended(job_id, "failed")
    assert (job.error_code, job.cost_micros) == ("insufficient_funds", 0)
    assert (await world.balance()).held_micros == 0


async def test_when_the_money_ends_midway_the_other_files_fail(make_world: WorldMaker) -> None:
    """What was paid for is heard."""
    world = await make_world(cost_micros(13, PRICE_MICROS))
    async with world.working():
        job_id = await world.submit([spoken(index, 5) for index in range(4)])
        job = await world.ended(job_id)
    assert await world.ends(job_id) == {
        0: "completed", 1: "completed", 2: "insufficient_funds", 3: "insufficient_funds"
    }  # fmt: skip
    assert job.cost_micros == cost_micros(10, PRICE_MICROS)
    assert (await world.texts(job_id))[2:] == ["failed_insufficient_credits"] * 2


async def test_a_file_that_was_never_brought_fails_the_batch_at_once(world: BatchWorld) -> None:
    """The manifest demands all."""
    async with world.working():
        job_id = await world.submit([spoken(0), spoken(1)], bring=lambda index: index == 0)
        job = await world.ended(job_id, "failed")
    assert (job.error_code, await world.files(job_id)) == ("file_missing", [])


async def test_a_manifest_that_was_changed_is_not_worked_on(world: BatchWorld) -> None:
    async with world.working():
        job_id = await world.submit([spoken(0)], arrive=False)
        await asyncio.to_thread(world.house.blobs.put, f"jobs/{job_id}/manifest/0000.json", b"[]")
        await world.arrive(job_id)
        job = await world.ended(job_id, "failed")
    assert job.error_code == "manifest_mismatch"


async def test_a_batch_that_is_paused_begins_nothing_more_and_goes_on_when_it_may(make_world: WorldMaker) -> None:
    """Its pages are told, too: the pack that was prepared meanwhile is not heard."""
    world = await make_world()
    async with world.working(["control", "deliver"]):
        job_id = await world.submit([spoken(index) for index in range(3)])
        await world.until(lambda: world.runs(job_id), "its page runs")
        await world.house.jobs.steer(job_id, "pause")
        assert (await world.job(job_id)).paused
        live = await world.house.jobs.live(await world.job(job_id))
        assert live is not None
        assert (live["paused"], live["pages_left"]) == (True, 1)
        async with world.working(["media", "speech"]):
            await world.until(lambda: world.rests(job_id), "its page has taken the pack in, and begins nothing")
            assert {file.state for file in await world.files(job_id)} == {"prepared"}
            await world.house.jobs.steer(job_id, "reprioritize", 2)
            await world.house.jobs.steer(job_id, "resume")
            await world.ended(job_id)
    assert await world.texts(job_id) == [words(index) for index in range(3)]


async def test_what_operators_cancel_on_temporal_ends_cancelled(world: BatchWorld) -> None:
    """As by the API; nothing is left but what is to be told."""
    async with world.working(["control", "deliver"]):
        job_id = await world.submit([spoken(0)])
        await world.until(lambda: world.runs(job_id), "its page runs")
        handle = world.client.get_workflow_handle(names.batch_workflow_id(job_id, 1))
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
        await world.ended(job_id, "cancelled")
    assert isinstance(ended.value.cause, CancelledError)
    assert await world.objects(job_id) == []
