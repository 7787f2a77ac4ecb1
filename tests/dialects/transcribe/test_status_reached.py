"""Can every status be reached by real stations, on a real Temporal server? Each word of the API, provoked as its users would."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from api.dialects.transcribe.jobs_answers import seen
from api.dialects.transcribe.status import FAILED_WORDS
from tests.servers.scripted_http import ScriptedHttp, Visit
from tests.workflows.batch_world import PRICE_MICROS, BatchWorld, batch_world, spoken
from tiro.model.batch import BatchEntryWish
from tiro.model.blob import file_id, manifest_page_key, source_key
from tiro.model.job import Job
from tiro.model.request import AwaitedSource, JobOptions, JobRequest, Source
from tiro.model.wallet import cost_micros

pytestmark = pytest.mark.promise("T7")

TEXT = b"no recording at all " * 100
GIB = 1 << 30
BATCH_WORDS = {
    "failed_batch_file_count_mismatch",
    "failed_batch_size_mismatch",
    "failed_batch_too_large",
    "failed_batch_total_size_mismatch",
    "failed_manifest_mismatch",
    "failed_missing_batch_file",
    "failed_unsupported_batch_format",
}
SINGLE_WORDS = {
    "failed_import",
    "failed_source_missing",
    "failed_transcription",
    "failed_upload_missing",
    "failed_upload_size_mismatch",
}
ELSEWHERE = {
    "failed_insufficient_credits": "test_without_money_for_what_it_is_the_job_fails",
    "failed_cancelled": "test_jobs_polls.py: delete cancels what is under way",
    "failed_upload_expired": "test_jobs_polls.py: an upload that nobody goes on with",
    "failed_result_missing": "test_status_model.py: the last station leaves nothing",
}


async def single(world: BatchWorld, source: Source) -> str:
    """One recording, as the dialect hands it in."""
    request = JobRequest(
        job_id=world.house.intake.new_job_id(),
        account_id=world.account.account_id,
        dialect="transcribe",
        options=JobOptions(language="en", diarize=False),
        source=source,
    )
    job = await world.house.intake.submit(request)
    assert isinstance(job, Job)
    return job.job_id


async def brought(world: BatchWorld, data: bytes | None, size_bytes: int | None = None) -> str:
    job_id = await single(world, AwaitedSource(size_bytes))
    if data is not None:
        await asyncio.to_thread(world.house.blobs.put, source_key(job_id), data)
    await world.house.uploads.arrived(job_id)
    return job_id


async def status(world: BatchWorld, job_id: str) -> str:
    """When it has ended."""

    async def over() -> bool:
        return (await world.job(job_id)).ended

    await world.until(over, f"{job_id} ends")
    return seen(await world.job(job_id), ()).status


@contextlib.asynccontextmanager
async def at_work(
    folder: Path, database: str, client: Client, funds_micros: int = 10_000_000
) -> AsyncIterator[BatchWorld]:
    async with batch_world(folder, database, client, {}, funds_micros) as world, world.working():
        yield world


def test_no_word_is_left_out() -> None:
    assert BATCH_WORDS | SINGLE_WORDS | ELSEWHERE.keys() == FAILED_WORDS


async def test_every_way_in_which_a_batch_fails(tmp_path: Path, sqlite_url: str, temporal_client: Client) -> None:
    def declared(_: int, wish: BatchEntryWish) -> BatchEntryWish:
        return BatchEntryWish(reference=wish.reference, size_bytes=7)

    async with at_work(tmp_path, sqlite_url, temporal_client) as world:
        changed = await world.submit([spoken(0), spoken(1)], arrive=False)
        await asyncio.to_thread(world.house.blobs.put, manifest_page_key(changed, 0), b"[]")
        huge = await world.submit([spoken(0), spoken(1)], arrive=False)
        for index in range(2):
            path = world.house.blobs.local_path(source_key(file_id(huge, index)))
            assert path is not None
            os.truncate(path, 6 * GIB)
        for job_id in (changed, huge):
            await world.arrive(job_id)
        jobs = {
            "failed_manifest_mismatch": changed,
            "failed_batch_too_large": huge,
            "failed_batch_file_count_mismatch": await world.submit([spoken(0), spoken(1)], declared_files=3),
            "failed_batch_total_size_mismatch": await world.submit([spoken(0), spoken(1)], declared_bytes=5),
            "failed_batch_size_mismatch": await world.submit([spoken(0), spoken(1)], wishes=declared),
            "failed_missing_batch_file": await world.submit([spoken(0), spoken(1)], bring=lambda index: index == 0),
            "failed_unsupported_batch_format": await world.submit([TEXT, TEXT]),
            "completed_with_errors": await world.submit([spoken(0), TEXT]),
            "completed": await world.submit([spoken(0), spoken(1)]),
        }
        assert {word: await status(world, job_id) for word, job_id in jobs.items()} == {word: word for word in jobs}
    assert jobs.keys() >= BATCH_WORDS


async def test_every_way_in_which_a_single_recording_fails(
    tmp_path: Path, sqlite_url: str, temporal_client: Client
) -> None:
    def page(visit: Visit) -> None:
        visit.answer(200, b"<html>a page</html>", {"Content-Type": "text/html"})

    local = {"TIRO_EGRESS_ALLOW": "127.0.0.0/8"}
    scripts = {"/gone.mp3": lambda visit: visit.answer(404), "/page": page}
    async with batch_world(tmp_path, sqlite_url, temporal_client, local) as world:
        removed = await brought(world, spoken(0))
        await asyncio.to_thread(world.house.blobs.delete, source_key(removed))
        with ScriptedHttp(scripts) as site:
            async with world.working():
                address = world.house.intake.seal_url
                jobs = {
                    "failed_source_missing": await single(world, address(site.url("/gone.mp3"))),
                    "failed_import": await single(world, address(site.url("/page"))),
                    "failed_transcription": await brought(world, TEXT),
                    "failed_upload_missing": await brought(world, None),
                    "failed_upload_size_mismatch": await brought(world, spoken(0), 7),
                    "completed": await brought(world, spoken(0)),
                }
                told = {word: await status(world, job_id) for word, job_id in jobs.items()}
                assert await status(world, removed) == "failed_source_missing"
    assert told == {word: word for word in jobs}
    assert jobs.keys() >= SINGLE_WORDS


async def test_without_money_for_what_it_is_the_job_fails(
    tmp_path: Path, sqlite_url: str, temporal_client: Client
) -> None:
    """It was taken in, since one second could be paid."""
    async with at_work(tmp_path, sqlite_url, temporal_client, cost_micros(1, PRICE_MICROS)) as world:
        jobs = [await brought(world, spoken(0, 3)), await world.submit([spoken(0, 3), spoken(1, 3)])]
        assert {await status(world, job_id) for job_id in jobs} == {"failed_insufficient_credits"}
