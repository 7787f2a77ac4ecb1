"""Batches that are fetched, cancelled in the middle, retried, or lost by Temporal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit
from tests.workflows.batch_world import DOLLAR, PRICE_MICROS, BatchWorld, WorldMaker, spoken, words
from tiro.adapters.fakes import SetClock
from tiro.adapters.temporal import names
from tiro.model.batch import BatchEntryWish
from tiro.model.blob import file_id
from tiro.model.errors import Conflict, NotFound
from tiro.model.wallet import Balance, cost_micros
from tiro.services.ending import Fault
from tiro.services.upkeep import Upkeep

LOCAL = {"TIRO_EGRESS_ALLOW": "127.0.0.0/8"}


class Shelf:
    """Recordings behind addresses. What is `away` is answered with 404, what is `slow` not before `go`."""

    def __init__(self) -> None:
        self.away: set[int] = set()
        self.slow: set[int] = set()
        self.go = threading.Event()
        self.asked: list[int] = []
        self.http = ScriptedHttp({f"/{index}": self._answer for index in range(200)})

    def url(self, index: int) -> str:
        return self.http.url(f"/{index}")

    def _answer(self, visit: Visit) -> None:
        index = int(visit.path.removeprefix("/"))
        self.asked.append(index)
        if index in self.slow:
            while not self.go.wait(0.05) and not visit.ended.is_set():
                continue
        if index in self.away:
            visit.answer(404)
        else:
            visit.answer(body=spoken(index), headers={"Content-Type": "audio/wav"})


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    with made.http:
        yield made
        made.go.set()


@pytest.fixture
async def world(make_world: WorldMaker) -> BatchWorld:
    return await make_world(**LOCAL)


@pytest.mark.promise("T39")
async def test_what_has_an_address_is_fetched_and_what_is_not_there_fails_alone(
    world: BatchWorld, shelf: Shelf
) -> None:
    """Beside files that are brought; a batch of addresses only begins by itself."""
    shelf.away = {1}
    async with world.working():
        mixed = await world.submit([shelf.url(0), shelf.url(1), spoken(2)])
        fetched = await world.submit([shelf.url(3)])
        await world.ended(mixed)
        await world.ended(fetched)
    assert await world.texts(mixed) == [words(0), "failed_source_missing", words(2)]
    assert await world.texts(fetched) == [words(3)]
    assert sorted(shelf.asked) == [0, 1, 3]


async def test_only_what_failed_is_done_again(world: BatchWorld, shelf: Shelf) -> None:
    """The next run hears one file, writes the whole document, and is charged for that one."""
    shelf.away = {5}
    async with world.working():
        job_id = await world.submit([shelf.url(index) for index in range(8)])
        first = await world.ended(job_id)
        assert (first.files_failed, first.billed_s) == (1, 14)
        shelf.away, shelf.asked = set(), []
        again = await world.house.jobs.retry(job_id)
        assert (again.run, again.state, again.files_done, again.files_failed) == (2, "queued", 7, 0)
        last = await world.ended(job_id, run=2)
        with pytest.raises(Conflict):
            await world.house.jobs.retry(job_id)
    assert shelf.asked == [5]
    assert (last.files_done, last.files_failed, last.billed_s) == (8, 0, 16)
    assert await world.texts(job_id) == [words(index) for index in range(8)]
    async with world.house.records.begin() as tx:
        charged = await tx.wallets.charged(job_id)
        files = await tx.batches.files(job_id)
    assert charged.amount_micros == cost_micros(14, PRICE_MICROS) + cost_micros(2, PRICE_MICROS)
    assert (await world.document(job_id))["cost"] == charged.amount_micros / DOLLAR
    assert [file.run for file in files] == [2 if index == 5 else 1 for index in range(8)]


@pytest.mark.promise("T12")
async def test_a_batch_that_is_lost_in_the_middle_costs_nothing_until_its_retry(
    world: BatchWorld, shelf: Shelf
) -> None:
    """What was heard by then is paid with the run that completes, once, and not heard again."""
    before, shelf.slow = await world.balance(), {25}
    async with world.working():
        job_id = await world.submit([*(spoken(index) for index in range(25)), shelf.url(25)])
        await world.until(lambda: _done(world, job_id, 25), "the first pack is heard")
        await world.client.get_workflow_handle(names.batch_workflow_id(job_id, 1)).terminate()
        lost = (await world.house.endings.end(job_id, 1, "failed", Fault("transient_error", "lost"))).job
        assert (lost.billed_s, lost.cost_micros, await world.balance()) == (0, 0, before)
        shelf.go.set()
        await world.house.jobs.retry(job_id)
        done = await world.ended(job_id, run=2)
    assert (done.billed_s, done.cost_micros) == (52, cost_micros(52, PRICE_MICROS))
    assert (await world.document(job_id))["cost"] == cost_micros(52, PRICE_MICROS) / DOLLAR
    assert await world.balance() == Balance(before.balance_micros - cost_micros(52, PRICE_MICROS), 0)
    heard = {key for key in await world.objects(job_id) if key.startswith("heard/")}
    assert len(heard) == 2
    assert (await world.house.audit.look(pause=timedelta(0))).findings == ()


async def test_a_long_file_that_failed_is_done_again_in_the_next_run(make_world: WorldMaker) -> None:
    """Its row goes on in the batch's run."""
    world = await make_world(TIRO_ENGINES="scripted:refuse=engine_refused*1")
    async with world.working():
        job_id = await world.submit([wav(numbered(310))])
        assert (await world.ended(job_id, "failed")).error_code == "transient_error"
        await world.house.jobs.retry(job_id)
        await world.ended(job_id, run=2)
    assert (await world.texts(job_id))[0].split() == [f"w{n}" for n in range(310)]
    async with world.house.records.begin() as tx:
        file = await tx.jobs.get(file_id(job_id, 0))
    assert file is not None
    assert (file.run, file.state) == (2, "completed")


@pytest.mark.promise("T8")
async def test_cancelled_in_the_middle_it_keeps_the_charge_of_what_was_heard(world: BatchWorld, shelf: Shelf) -> None:
    """Nothing else stays: no content, no hold; and nobody writes behind the purge."""
    shelf.slow = {25}
    async with world.working():
        job_id = await world.submit([*(spoken(index) for index in range(25)), shelf.url(25)])
        await world.until(lambda: _done(world, job_id, 25), "the first pack is heard")
        cancelled = await world.house.jobs.cancel(job_id)
        assert (cancelled.state, cancelled.cost_micros) == ("cancelled", cost_micros(50, PRICE_MICROS))
        await world.ended(job_id, "cancelled")
        page = await world.client.get_workflow_handle(names.page_workflow_id(job_id, 1, 0)).describe()
        assert page.status is not None
        assert page.status.name == "CANCELED"
        assert await world.objects(job_id) == []
    assert (await world.balance()).held_micros == 0
    assert len(await world.files(job_id)) == 25


async def test_a_long_file_of_a_cancelled_batch_ends_cancelled_too(make_world: WorldMaker) -> None:
    """Its engine was still at work."""
    world = await make_world(TIRO_ENGINES=f"scripted:hold={__file__}.never")
    async with world.working():
        job_id = await world.submit([wav(numbered(310))])
        await world.until(lambda: _transcribes(world, file_id(job_id, 0)), "it is being heard")
        await world.house.jobs.cancel(job_id)
        await world.ended(job_id, "cancelled")
        async with world.house.records.begin() as tx:
            file = await tx.jobs.get(file_id(job_id, 0))
        assert file is not None
        assert (file.state, await world.objects(job_id)) == ("cancelled", [])
        with pytest.raises(NotFound):
            await world.house.jobs.get(file.job_id, world.account.account_id)


async def test_what_temporal_has_lost_of_a_batch_is_ended(make_world: WorldMaker) -> None:
    """The batch, and a file of it that never began; who is under way is left alone."""
    world = await make_world()
    clock = SetClock(world.house.clock.now())
    upkeep = Upkeep(world.house.records, world.house.blobs, world.house.orchestrator, world.house.endings, clock)
    async with world.working(["control", "media"]):
        job_id = await world.submit([spoken(0)])
        await world.until(lambda: world.prepared(job_id, 1), "it is prepared")
        batch = await world.job(job_id)
        entries = await world.house.batches.entries(batch)
        await world.house.batch_line.open_files(batch, entries, {0: 1})
        clock.advance(timedelta(minutes=11).total_seconds())
        assert (await upkeep.sweep()).lost == 0
        await world.client.get_workflow_handle(names.batch_workflow_id(job_id, 1)).terminate()
        assert (await upkeep.sweep()).lost == 1
        clock.advance(timedelta(minutes=11).total_seconds())
        assert (await upkeep.sweep()).lost == 1
    job = await world.job(job_id)
    assert (job.state, job.error_reason, (await world.balance()).held_micros) == ("failed", "lost", 0)
    async with world.house.records.begin() as tx:
        file = await tx.jobs.get(file_id(job_id, 0))
    assert file is not None
    assert file.state == "failed"


async def test_the_priority_and_the_account_of_a_batch_go_with_all_its_work(world: BatchWorld, shelf: Shelf) -> None:
    """Files of a batch come behind single jobs, in their account's share: activities have the priority of their workflow."""
    shelf.slow = {0}
    async with world.working(["control", "media"]):
        job_id = await world.submit([shelf.url(0)])
        await world.until(lambda: world.runs(job_id), "its page runs")
        ids = [names.batch_workflow_id(job_id, 1), names.page_workflow_id(job_id, 1, 0)]
        priorities = []
        for workflow_id in ids:
            described = await world.client.get_workflow_handle(workflow_id).describe()
            priorities.append(described.raw_description.workflow_execution_info.priority)
        shelf.go.set()
        await world.house.jobs.cancel(job_id)
        await world.ended(job_id, "cancelled")
    assert {(one.priority_key, one.fairness_key) for one in priorities} == {(4, world.account.account_id)}


async def test_no_name_and_no_address_of_a_file_reaches_temporal(world: BatchWorld, shelf: Shelf) -> None:
    """Histories outlive jobs: they hold indexes."""
    shelf.away = {1}

    def named(index: int, wish: BatchEntryWish) -> BatchEntryWish:
        return BatchEntryWish(reference=f"canary-{index}", url=wish.url, name=f"canary-{index}.wav")

    async with world.working():
        job_id = await world.submit([shelf.url(0), shelf.url(1), spoken(2)], wishes=named)
        await world.ended(job_id)
        for workflow_id in (names.batch_workflow_id(job_id, 1), names.page_workflow_id(job_id, 1, 0)):
            told = str(await world.history(workflow_id))
            assert "canary" not in told
            assert f":{shelf.http.port}" not in told


async def _done(world: BatchWorld, job_id: str, count: int) -> bool:
    return (await world.job(job_id)).files_done == count


async def _transcribes(world: BatchWorld, job_id: str) -> bool:
    async with world.house.records.begin() as tx:
        job = await tx.jobs.get(job_id)
    return job is not None and job.stage == "transcribing"
