"""What becomes of a job whose bytes a client brings by itself, and of one for which nobody does?"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta

import pytest

from tests.servers.api import Api, ApiMaker, api_database, make_api
from tests.servers.databases import SteppedClock
from tiro.model.blob import BlobRef, file_id, job_prefix, manifest_key, source_key
from tiro.model.errors import Conflict, Invalid, NotFound
from tiro.model.job import Job
from tiro.model.media import MediaLimits
from tiro.model.request import AwaitedSource, JobOptions, JobRequest, ManifestSource, Source, UploadedSource
from tiro.model.upload import (
    LEAST_PART_BYTES,
    MOST_BYTES,
    MOST_PARTS,
    PUT_BELOW_BYTES,
    PartsInstructions,
    PutInstructions,
    Wanted,
    part_bytes_of,
    parts_of,
)
from tiro.ports import Blobs, BlobWriter
from tiro.services.ending import Fault
from tiro.services.upkeep import UPLOAD_KEPT_FOR, Swept
from tiro.services.uploads import ASSEMBLIES

__all__ = ["api_database", "make_api"]
DAY_S = UPLOAD_KEPT_FOR.total_seconds()
CAP = 10


@pytest.fixture
async def api(make_api: ApiMaker, clock: SteppedClock) -> Api:
    return await make_api(clock=clock)


def wish(api: Api, source: Source, **fields: object) -> JobRequest:
    return JobRequest(
        job_id=api.house.intake.new_job_id(),
        account_id=api.account.account_id,
        dialect="jobs",
        options=JobOptions(language="en"),
        source=source,
        **fields,  # type: ignore[arg-type]  # whatever the test says
    )


async def opened(api: Api, size_bytes: int | None = None, **fields: object) -> Job:
    job, _ = await api.house.uploads.open_single(wish(api, AwaitedSource(size_bytes), **fields))
    return job


async def batch(api: Api, uploads: int) -> Job:
    asked = wish(api, AwaitedSource())
    source = ManifestSource(BlobRef(manifest_key(asked.job_id), 1, "0"), 2, uploads)
    job = await api.house.intake.submit(
        JobRequest(
            job_id=asked.job_id,
            account_id=asked.account_id,
            dialect="jobs",
            options=JobOptions(language="en"),
            source=source,
        )
    )
    assert isinstance(job, Job)
    return job


def bring(api: Api, job: Job, data: bytes) -> None:
    api.house.blobs.put(source_key(job.job_id), data)


async def now(api: Api, job: Job) -> Job:
    return await api.house.jobs.get(job.job_id)


@pytest.mark.promise("T18")
@pytest.mark.parametrize(
    "size_bytes", [PUT_BELOW_BYTES, PUT_BELOW_BYTES + 1, 5_000 * 2**20, 5_000 * 2**20 + 1, MOST_BYTES]
)
def test_parts_are_of_five_mebibytes_and_larger_only_to_be_no_more_than_a_thousand(size_bytes: int) -> None:
    """They cover the whole, and nothing else."""
    parts, each = parts_of(size_bytes), part_bytes_of(size_bytes)
    assert sum(parts.values()) == size_bytes
    assert list(parts) == list(range(1, -(-size_bytes // each) + 1))
    assert len(parts) <= MOST_PARTS
    assert {size for number, size in parts.items() if number < len(parts)} == {each}
    assert each == LEAST_PART_BYTES or -(-size_bytes // (each - 2**20)) > MOST_PARTS


@pytest.mark.promise("T18")
async def test_what_is_small_or_unknown_comes_in_one_piece(api: Api) -> None:
    """From 128 MiB on in parts."""
    for size_bytes in (None, 1, PUT_BELOW_BYTES - 1):
        _, told = await api.house.uploads.open_single(wish(api, AwaitedSource(size_bytes)))
        assert isinstance(told, PutInstructions)
    _, told = await api.house.uploads.open_single(wish(api, AwaitedSource(PUT_BELOW_BYTES)))
    assert isinstance(told, PartsInstructions)
    assert (told.part_bytes, len(told.parts)) == (LEAST_PART_BYTES, 26)


async def test_a_job_that_awaits_its_bytes_asks_for_nothing(api: Api) -> None:
    """It is no load: not launched, not counted as open, until all is there."""
    job = await opened(api)
    await api.house.dispatch.once()
    assert (job.awaiting, job.state, api.orchestrator.launched) == (True, "queued", {})
    bring(api, job, b"sound")
    arrived = await api.house.uploads.arrived(job.job_id)
    assert (arrived.awaiting, arrived.state) == (False, "queued")
    assert arrived.source == UploadedSource(BlobRef(source_key(job.job_id), 5, None))
    await api.house.dispatch.once()
    assert len(api.orchestrator.launched) == 1


async def test_saying_twice_that_all_is_there_is_saying_it_once(api: Api) -> None:
    """A client whose answer was lost asks again, also later, and hears how the job stands."""
    job = await opened(api)
    bring(api, job, b"sound")
    told = await asyncio.gather(*(api.house.uploads.arrived(job.job_id) for _ in range(4)))
    assert {one.awaiting for one in told} == {False}
    await api.run_until(job.job_id)
    assert (await api.house.uploads.arrived(job.job_id)).state == "processing"
    assert len(api.orchestrator.launched) == 1


@pytest.mark.promise("T23")
@pytest.mark.parametrize(
    ("declared", "brought", "code"),
    [(None, None, "upload_missing"), (5, b"soun", "upload_size_mismatch"), (None, b"x" * (CAP + 1), "file_too_large")],
)
async def test_what_is_there_and_cannot_be_meant_fails_the_job(
    api: Api, declared: int | None, brought: bytes | None, code: str
) -> None:
    """Late, in the job, whose owner is told; after that it cannot be brought any more, nor tried again."""
    job = await opened(api, declared, limits=MediaLimits(60.0, CAP))
    if brought is not None:
        bring(api, job, brought)
    ended = await api.house.uploads.arrived(job.job_id)
    assert (ended.state, ended.error_code) == ("failed", code)
    for again in (
        api.house.uploads.arrived(job.job_id),
        api.house.uploads.instructions(job.job_id, [Wanted(source_key(job.job_id))]),
        api.house.jobs.retry(job.job_id),
    ):
        with pytest.raises(Conflict):
            await again


@pytest.mark.parametrize("code", ["upload_missing", "upload_size_mismatch", "upload_expired"])
async def test_who_looked_too_early_ends_nothing_that_has_arrived_meanwhile(api: Api, code: str) -> None:
    """Two calls at once, or the sweep: one saw nothing there, the other all."""
    job = await opened(api)
    bring(api, job, b"sound")
    await api.house.uploads.arrived(job.job_id)
    told = await api.house.endings.end(job.job_id, job.run, "failed", Fault(code))
    assert (told.job.state, told.job.awaiting, told.newly) == ("queued", False, False)
    await api.run_until(job.job_id)
    assert len(api.orchestrator.launched) == 1


async def test_only_what_was_awaited_can_arrive(api: Api) -> None:
    """A job from an address, or one that came with its bytes, is told so; another's is unknown."""
    from_url = await api.house.intake.submit(wish(api, api.house.intake.seal_url("https://media.example/a.mp3")))
    assert isinstance(from_url, Job)
    for job_id in (from_url.job_id, await api.submit(language="en"), (await batch(api, 0)).job_id):
        with pytest.raises(Conflict) as refused:
            await api.house.uploads.arrived(job_id)
        assert refused.value.code == "invalid_job_status"
    job = await opened(api)
    for job_id, account_id in ((job.job_id, "acc_other"), ("job_01ARZ3NDEKTSV4RRFFQ69G5FAV", None)):
        with pytest.raises(NotFound):
            await api.house.uploads.arrived(job_id, account_id)


async def test_a_batch_arrives_whatever_of_it_is_there(api: Api) -> None:
    """What its manifest demands is looked at by the batch."""
    job = await batch(api, 1)
    assert job.awaiting
    (told,) = await api.house.uploads.instructions(job.job_id, [Wanted(source_key(file_id(job.job_id, 1)), 5)])
    arrived = await api.house.uploads.arrived(job.job_id)
    assert (told.key, arrived.awaiting, arrived.source) == (f"jobs/{job.job_id}/files/00001/source", False, job.source)


@pytest.mark.promise("T22")
async def test_only_its_own_upload_can_be_resumed(api: Api) -> None:
    """By key, kind and id."""
    uploads = api.house.uploads
    job, told = await uploads.open_single(wish(api, AwaitedSource(PUT_BELOW_BYTES)))
    assert isinstance(told, PartsInstructions)
    for key, upload_id in (
        (told.key + "x", told.upload_id),
        (source_key(file_id(job.job_id, 1)), told.upload_id),
        (told.key, None),
        (told.key, "0" * 32),
        (told.key, "../x"),
    ):
        with pytest.raises(Invalid) as refused:
            await uploads.resume(job.job_id, key, upload_id)
        assert refused.value.code == "invalid_upload"
    again = await uploads.resume(job.job_id, told.key, told.upload_id)
    assert isinstance(again, PartsInstructions)
    assert [part.number for part in again.parts] == [part.number for part in told.parts]


async def test_a_part_of_another_size_is_brought_again_and_a_completed_upload_needs_none(api: Api) -> None:
    """Also when the client never heard that it was completed."""
    house = api.house
    job, told = await house.uploads.open_single(wish(api, AwaitedSource(PUT_BELOW_BYTES)))
    assert isinstance(told, PartsInstructions)
    token = told.parts[0].url.rpartition("/")[2]
    part = house.uploads.part_writer(house.passes.read(token, house.clock.now()))
    part.write(b"short")
    part.commit()
    again = await house.uploads.resume(job.job_id, told.key, told.upload_id)
    assert isinstance(again, PartsInstructions)
    assert (len(again.parts), again.present) == (26, {})
    complete = house.passes.read(told.complete_url.rpartition("/")[2], house.clock.now())
    await house.uploads.complete(complete, {1: part.etag})
    done = await house.uploads.resume(job.job_id, told.key, told.upload_id)
    assert isinstance(done, PartsInstructions)
    assert done.parts == ()


async def test_the_same_parts_are_put_together_once_by_however_many_calls(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are told that it is done. Each copy may be gigabytes, by threads that the whole server needs."""
    house = api.house
    job, told = await house.uploads.open_single(wish(api, AwaitedSource(PUT_BELOW_BYTES)))
    assert isinstance(told, PartsInstructions)
    part = house.uploads.part_writer(house.passes.read(told.parts[0].url.rpartition("/")[2], house.clock.now()))
    part.write(b"part")
    part.commit()
    together = threading.Barrier(ASSEMBLIES + 1)
    copies: list[str] = []

    def writer(self: Blobs, key: str, media_type: str = "application/octet-stream") -> BlobWriter:
        copies.append(key)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        return begin(self, key, media_type)

    begin = type(house.blobs).writer
    monkeypatch.setattr(type(house.blobs), "writer", writer)
    complete = house.passes.read(told.complete_url.rpartition("/")[2], house.clock.now())
    await asyncio.gather(*(house.uploads.complete(complete, {1: part.etag}) for _ in range(20)))
    assert len(copies) <= ASSEMBLIES
    assert house.blobs.get(source_key(job.job_id)) == b"part"


@pytest.mark.promise("T37")
async def test_an_upload_of_which_nothing_was_heard_for_a_day_ends_its_job(api: Api, clock: SteppedClock) -> None:
    """A day after the last sign of it, not after the first; its parts and objects go, and the owner is told."""
    job, told = await api.house.uploads.open_single(
        wish(api, AwaitedSource(PUT_BELOW_BYTES), webhook_url="https://hooks.example/take")
    )
    clock.step(DAY_S - 1)
    await api.house.uploads.resume(job.job_id, told.key, told.upload_id)  # type: ignore[union-attr]  # comes in parts
    clock.step(DAY_S)
    assert (await api.house.upkeep.sweep()).uploads == 0
    assert (await now(api, job)).awaiting
    clock.step(1)
    assert (await api.house.upkeep.sweep()).uploads == 1
    ended = await now(api, job)
    assert (ended.state, ended.error_code) == ("failed", "upload_expired")
    assert [info.key for info in api.house.blobs.list(job_prefix(job.job_id)) if "/events/" not in info.key] == []
    assert len(await api.house.jobs.deliveries(job.job_id)) == 1
    assert await api.house.upkeep.sweep() == Swept()


async def test_an_upload_is_awaited_for_a_week_however_much_is_heard_of_it(api: Api, clock: SteppedClock) -> None:
    """Who asks for addresses day after day keeps no parts in the store for ever."""
    job, told = await api.house.uploads.open_single(wish(api, AwaitedSource(PUT_BELOW_BYTES)))
    assert isinstance(told, PartsInstructions)
    for _ in range(7):
        clock.step(DAY_S - 1)
        await api.house.uploads.resume(job.job_id, told.key, told.upload_id)
        assert (await api.house.upkeep.sweep()).uploads == 0
    clock.step(8)
    assert (await api.house.upkeep.sweep()).uploads == 1
    ended = await now(api, job)
    assert (ended.state, ended.error_code) == ("failed", "upload_expired")


async def test_an_upload_that_has_arrived_is_ended_by_nothing_that_was_heard_late(
    api: Api, clock: SteppedClock
) -> None:
    """A sign of it that was written just behind its arrival is forgotten, and its recording stays."""
    job = await opened(api)
    bring(api, job, b"sound")
    await api.house.uploads.arrived(job.job_id)
    async with api.house.records.begin() as tx:
        await tx.jobs.begin_upload(job.job_id, job.account_id, clock.now())
    clock.step(DAY_S + 1)
    await api.house.upkeep.sweep()
    assert (await now(api, job)).state == "queued"
    assert [info.key for info in api.house.blobs.list("")] == [source_key(job.job_id)]
    assert (await api.house.upkeep.sweep()).uploads == 0


@pytest.mark.promise("T25")
async def test_what_is_kept_for_a_while_goes_when_that_is_over(api: Api, clock: SteppedClock) -> None:
    """The job too: nobody finds it any more. Jobs that are kept until they are deleted stay."""
    house = api.house
    await house.wallets.credit(api.account.account_id, 1_000_000, "test")
    kept, told = await opened(api), wish(api, AwaitedSource())
    job, _ = await house.uploads.open_single(
        JobRequest(
            job_id=told.job_id,
            account_id=told.account_id,
            dialect="transcribe",
            options=told.options,
            source=told.source,
        )
    )
    for one in (kept, job):
        bring(api, one, b"sound")
        await house.uploads.arrived(one.job_id)
        await api.complete(one.job_id)
    clock.step(timedelta(days=30).total_seconds() - 1)
    await house.upkeep.sweep()
    assert (await now(api, job)).state == "completed"
    clock.step(1)
    assert (await house.upkeep.sweep()).expired == 1
    with pytest.raises(NotFound):
        await now(api, job)
    assert list(house.blobs.list(job_prefix(job.job_id))) == []
    assert house.blobs.head(f"{job_prefix(kept.job_id)}transcript.json") is not None
