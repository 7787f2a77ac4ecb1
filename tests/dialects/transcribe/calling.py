"""A caller of POST /v1/transcribe, and a worker that does what it is told while the caller waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from tests.servers.api import Api
from tests.servers.audio import tone_wav
from tiro.model.job import Job

PATH = "/v1/transcribe"
ADDRESS = "https://93.184.215.14/a.mp3"


async def funded(api: Api, dollars: float = 10.0) -> Api:
    """With money in the wallet of its account."""
    await api.house.wallets.credit(api.account.account_id, round(dollars * 1_000_000), "for the test")
    return api


async def send(
    api: Api,
    fields: Mapping[str, str] | None = None,
    *,
    recording: bytes | None = None,
    key: str | None = None,
    path: str = PATH,
) -> httpx2.Response:
    """A form with a tone of two seconds, or another recording; b"" is no file at all."""
    content = tone_wav(2.0) if recording is None else recording
    parts: dict[str, Any] = {name: (None, text) for name, text in (fields or {}).items()}
    if content:
        parts["file"] = ("tone.wav", content)
    return await api.http.post(path, files=parts or {"x": (None, "")}, headers=api.bearer(key or api.key))


async def jobs(api: Api) -> list[Job]:
    """Those of this dialect, newest change first."""
    return await api.house.jobs.page(None, dialect="transcribe")


async def next_job(api: Api, known: set[str]) -> Job:
    """The one that is not known yet, as soon as it is there."""
    async with asyncio.timeout(20):
        while True:
            for job in await jobs(api):
                if job.job_id not in known:
                    return job
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def calling(
    api: Api, fields: Mapping[str, str] | None = None, **how: Any
) -> AsyncIterator[tuple[Job, asyncio.Task[httpx2.Response]]]:
    """A call that waits: its job, and the answer that comes when that has ended."""
    known = {job.job_id for job in await jobs(api)}
    answering = asyncio.create_task(send(api, fields, **how))
    finding = asyncio.create_task(next_job(api, known))
    await asyncio.wait([answering, finding], return_when=asyncio.FIRST_COMPLETED)
    if not finding.done():
        finding.cancel()
        raise AssertionError((await answering).text)
    yield finding.result(), answering
    await answering


async def transcribed(api: Api, fields: Mapping[str, str] | None = None, **how: Any) -> httpx2.Response:
    """The answer of a call whose job is completed."""
    async with calling(api, fields, **how) as (job, answering):
        await api.complete(job.job_id)
        return await answering


async def failed(
    api: Api, code: str, reason: str | None = None, fields: Mapping[str, str] | None = None, **extras: Any
) -> httpx2.Response:
    """The answer of a call whose job fails."""
    async with calling(api, fields) as (job, answering):
        await api.fail(job.job_id, code, reason, **extras)
        return await answering
