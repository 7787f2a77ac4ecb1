"""Callers that lose their answer: the job goes on, is found, and the same request joins it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from api.config import RequestLimits
from tests.dialects.transcribe.calling import PATH, calling, funded, jobs, next_job, send
from tests.hostile.requests.bodies import HEAD, TAIL, field
from tests.hostile.requests.sending import request_head
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tests.unit.commands.shell import Shell
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock


async def _charged(api: Api) -> int:
    """Micro-dollars."""
    balance = await api.house.wallets.balance(api.account.account_id)
    return 10_000_000 - balance.balance_micros


@pytest.mark.promise("T36")
async def test_who_goes_away_loses_no_job_and_leaves_nothing(api: Api) -> None:
    """The connection is closed in the middle of the wait: nobody waits any more, and the job is found by its name and goes on."""
    await funded(api)
    body = HEAD + tone_wav(2.0) + b"\r\n" + field("reference_id", b"meeting 7") + TAIL
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request_head(api.key, PATH, length=len(body)) + body)
    job = await next_job(api, set())
    async with asyncio.timeout(20):
        while not api.house.waits.waiting:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while api.house.waits.waiting:
            await asyncio.sleep(0.01)
    (found,) = await api.house.jobs.page(None, reference="meeting 7")
    assert (found.job_id, found.state) == (job.job_id, "queued")
    await api.complete(job.job_id)
    told = (await api.http.get(f"{PATH}/{job.job_id}")).json()
    assert (told["status"], told["reference_id"], await _charged(api)) == ("completed", "meeting 7", 83)


@pytest.mark.promise("T36")
async def test_an_operator_finds_a_job_by_its_owner_s_name(make_api: ApiMaker, tmp_path: Path) -> None:
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.1)))
    wanted = (await send(api, {"reference_id": "meeting 7"})).json()["job_id"]
    await send(api, {"reference_id": "meeting 8"})
    async with api.admin() as admin:
        rows = (await admin.get("/jobs", params={"reference": "meeting 7"})).json()["jobs"]
    assert [(row["job_id"], row["reference"]) for row in rows] == [(wanted, "meeting 7")]
    shell = Shell.beside_api(tmp_path)
    listed = await asyncio.to_thread(shell.told, "jobs", "list", "--reference", "meeting 7")
    assert [row["job_id"] for row in listed] == [wanted]


@pytest.mark.promise("T36")
async def test_the_same_request_joins_the_job_that_runs(api: Api) -> None:
    """One job, one charge, one answer; its own upload is given up."""
    await funded(api)
    async with calling(api, {"language": "en"}) as (job, first):
        again = asyncio.create_task(send(api, {"language": "en"}))
        async with asyncio.timeout(20):
            while api.house.waits.waiting != {job.job_id: 2}:
                await asyncio.sleep(0.01)
        await api.complete(job.job_id)
        assert (await again).content == (await first).content
    assert (len(await jobs(api)), await _charged(api)) == (1, 83)
    assert {one.key.split("/")[1] for one in api.house.blobs.list("jobs/")} == {job.job_id}
    async with api.house.records.begin() as tx:
        assert await tx.jobs.stale_uploads(api.house.clock.now()) == []


@pytest.mark.promise("T36")
async def test_an_answer_that_was_lost_is_given_again(api: Api) -> None:
    """Also to the file's bytes in a form that is written otherwise, and to an address."""
    await funded(api)
    for fields, recording in (
        ({"language": "en", "vad_filter": "true"}, None),
        ({"url": "https://93.184.215.14/a"}, b""),
    ):
        async with calling(api, fields, recording=recording) as (job, answering):
            await api.complete(job.job_id)
            first = await answering
        spelled = {name: text.replace("true", "True") for name, text in reversed(fields.items())}
        again = await send(api, spelled, recording=recording)
        assert (again.status_code, again.content) == (200, first.content)
    assert (len(await jobs(api)), await _charged(api)) == (2, 166)


@pytest.mark.promise("T36")
async def test_another_request_is_another_job(make_api: ApiMaker) -> None:
    """Other options, another recording, another key; and the same a minute later."""
    clock = SetClock(SystemClock().now())
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.1), clock=clock))
    other_key = (await api.house.accounts.create_key(api.account.account_id, "another")).text
    await send(api)
    await send(api)
    assert len(await jobs(api)) == 1
    await send(api, {"language": "en"})
    await send(api, {"reference_id": "x"})
    await send(api, recording=tone_wav(3.0))
    await send(api, key=other_key)
    assert len(await jobs(api)) == 5
    clock.advance(59)
    await send(api)
    assert len(await jobs(api)) == 5
    clock.advance(1)
    await send(api)
    assert len(await jobs(api)) == 6


@pytest.mark.promise("T36")
async def test_after_a_failure_the_same_request_is_another_attempt(api: Api) -> None:
    """However often it fails; and those who try at the same time make one attempt."""
    await funded(api)
    for _ in range(2):
        async with calling(api) as (job, answering):
            await api.fail(job.job_id, "transient_error")
            assert (await answering).status_code == 502
    before = {job.job_id for job in await jobs(api)}
    together = [asyncio.create_task(send(api)) for _ in range(3)]
    third = await next_job(api, before)
    await api.complete(third.job_id)
    assert {(await answer).json()["job_id"] for answer in together} == {third.job_id}
    assert (len(await jobs(api)), await _charged(api)) == (3, 83)


@pytest.mark.promise("T36")
async def test_a_job_that_is_gone_is_joined_by_nobody(make_api: ApiMaker) -> None:
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.1)))
    first = (await send(api)).json()["job_id"]
    await api.house.jobs.delete(first)
    await api.house.jobs.delete(first)
    second = await send(api)
    assert second.status_code == 200
    assert second.json()["job_id"] != first
