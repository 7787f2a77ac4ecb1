"""A recording in, its transcript out: the shape of the answer, and what is made of a form on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.config import RequestLimits
from tests.dialects.transcribe.calling import ADDRESS, PATH, calling, funded, jobs, send, transcribed
from tests.hostile.requests.bodies import FORM, HEAD, TAIL, field
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.model.blob import source_key
from tiro.model.request import UploadedSource, UrlSource

FIELDS = {
    "job_id": str,
    "billed_seconds": int,
    "price_per_hour": float,
    "cost": float,
    "remaining_balance": float,
    "text": str,
    "vtt": str,
    "segments": list,
    "detected_language": str,
    "model": str,
}


@pytest.mark.promise("T11")
async def test_the_answer_is_the_transcript(api: Api) -> None:
    """Exactly these fields, numbers as numbers, and no word of a job that is under way."""
    await funded(api)
    answer = await transcribed(api, {"language": "en"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert {name: type(value) for name, value in told.items()} == FIELDS
    assert [set(segment) for segment in told["segments"]] == [{"id", "start_seconds", "end_seconds", "text"}] * 2
    assert (told["text"], told["billed_seconds"], told["price_per_hour"]) == ("So tell. Yes.", 2, 0.15)


@pytest.mark.promise("T11")
async def test_a_reference_comes_back_byte_for_byte(api: Api) -> None:
    await funded(api)
    reference = 'Größe "1"/ 日本 %22'
    answer = await transcribed(api, {"reference_id": reference})
    assert answer.json()["reference_id"] == reference
    (job,) = await jobs(api)
    assert job.reference == reference


@pytest.mark.promise("T12", "T44", "T3")
async def test_it_is_charged_after_it(api: Api) -> None:
    """What is held while it runs is the price of what the recording claims; what is captured is in the answer."""
    await funded(api, 1.0)
    async with calling(api) as (job, answering):
        during = await api.house.wallets.balance(api.account.account_id)
        assert (during.balance_micros, during.free_micros) == (1_000_000, 999_917)
        await api.complete(job.job_id)
        told = (await answering).json()
    after = await api.house.wallets.balance(api.account.account_id)
    assert (after.balance_micros, after.held_micros) == (999_917, 0)
    assert (told["cost"], told["remaining_balance"]) == (0.000083, 0.999917)


@pytest.mark.promise("T3")
async def test_many_at_once_cannot_overdraw(make_api: ApiMaker) -> None:
    """Money for three: of ten calls, seven are refused at once."""
    api = await make_api(limits=RequestLimits(wait_s=0.1))
    await funded(api, 3 * 0.000083)
    answers = await asyncio.gather(*(send(api, {"reference_id": str(number)}) for number in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [402] * 7
    assert (await api.house.wallets.balance(api.account.account_id)).free_micros == 0


@pytest.mark.promise("T3")
async def test_who_comes_when_as_many_wait_as_may_is_told_where_the_job_stands(make_api: ApiMaker) -> None:
    """At once; a place that is free again is taken."""
    api = await funded(await make_api(limits=RequestLimits(waits=1)))
    async with calling(api, {"reference_id": "first"}) as (job, answering):
        told = (await send(api, {"reference_id": "second"})).json()
        assert (told["status"], not answering.done()) == ("queued", True)
        await api.complete(job.job_id)
        assert (await answering).json()["text"]
    assert (await transcribed(api, {"reference_id": "third"})).json()["text"]


@pytest.mark.promise("T10")
async def test_with_a_webhook_nobody_waits(api: Api) -> None:
    """Exactly this, at once; the job is as any other."""
    await funded(api)
    answer = await send(api, {"webhook_url": "https://93.184.215.14/hook", "reference_id": "r"})
    (job,) = await jobs(api)
    assert (answer.status_code, answer.json()) == (
        200,
        {"job_id": job.job_id, "status": "queued", "job_status": "queued"},
    )
    assert (job.webhook_url is not None, job.priority, job.reference) == (True, 3, "r")


@pytest.mark.promise("T35")
async def test_a_recording_that_is_waited_for_goes_before_all_others(api: Api) -> None:
    """With its own limits instead of the plan's."""
    await funded(api)
    async with calling(api) as (job, answering):
        await api.complete(job.job_id)
        await answering
    assert job.limits is not None
    assert (job.priority, job.limits.max_duration_s, job.limits.max_bytes) == (1, 600.5, 30 << 20)
    assert api.orchestrator.launched[job.job_id, 1].priority == 1


@pytest.mark.promise("T35")
async def test_the_wait_has_an_end(make_api: ApiMaker) -> None:
    """Then the answer is where the job stands: published clients poll on that."""
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.2)))
    answer = await send(api)
    told = answer.json()
    assert (answer.status_code, told["job_status"], told["status"]) == (200, "queued", "queued")
    polled = await api.http.get(f"{PATH}/{told['job_id']}")
    assert polled.json() == told


@pytest.mark.promise("T39")
async def test_an_address_is_fetched_for_the_caller(api: Api) -> None:
    """A form without a file: the address is kept sealed, and what lies there may be as large as any job's recording."""
    await funded(api)
    async with calling(api, {"url": ADDRESS}, recording=b"") as (job, answering):
        await api.complete(job.job_id)
        assert (await answering).json()["text"] == "So tell. Yes."
    assert isinstance(job.source, UrlSource)
    assert ADDRESS.encode() not in job.source.sealed_url
    assert job.limits is not None
    assert (job.priority, job.limits.max_duration_s) == (3, 36_000.0)


@pytest.mark.parametrize("first", ["file", "options"])
async def test_options_may_come_before_or_after_the_file(api: Api, first: str) -> None:
    """As the two published clients send them."""
    await funded(api)
    options = field("language", b"de") + b"\r\n" + field("reference_id", b"x")
    file = HEAD + tone_wav(1.0)
    body = (file + b"\r\n" + options if first == "file" else options + b"\r\n" + file) + TAIL
    posting = asyncio.create_task(api.http.post(PATH, content=body, headers={"Content-Type": FORM}))
    async with asyncio.timeout(20):
        while not (found := await jobs(api)):
            await asyncio.sleep(0.02)
    await api.complete(found[0].job_id)
    assert (await posting).status_code == 200
    assert (found[0].options.language, found[0].reference) == ("de", "x")


async def test_the_recording_is_stored_once_and_as_it_was_sent(api: Api) -> None:
    await funded(api)
    async with calling(api, recording=tone_wav(1.5)) as (job, answering):
        assert isinstance(job.source, UploadedSource)
        assert api.house.blobs.get(source_key(job.job_id)) == tone_wav(1.5)
        await api.complete(job.job_id)
        await answering


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        ("vtt,segments,metadata,billing,detected_language", "So tell. Yes."),
        ("billing , metadata,,vtt", {"text", "segments", "detected_language"}),
    ],
)
@pytest.mark.promise("T13")
async def test_what_is_excluded_is_not_sent(api: Api, exclude: str, expected: Any) -> None:
    """What alone is left of the text is sent bare, as JSON."""
    await funded(api)
    answer = await transcribed(api, {"exclude": exclude})
    told = answer.json()
    assert (set(told) if isinstance(told, dict) else told) == expected


async def test_an_account_that_does_not_queue_waits_in_line_here(make_api: ApiMaker) -> None:
    """Only requests per minute are too many in this dialect."""
    api = await funded(await make_api(plan="free", limits=RequestLimits(wait_s=0.1)))
    await api.house.accounts.change(api.account.account_id, queueing=False)
    answers = [await send(api, {"reference_id": str(number)}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_the_jobs_of_one_dialect_are_unknown_in_the_other(api: Api) -> None:
    await funded(api)
    made = (await transcribed(api)).json()["job_id"]
    theirs = await api.submit()
    assert (await api.http.get(f"/jobs/{made}")).status_code == 404
    assert (await api.http.get(f"{PATH}/{theirs}")).status_code == 404
    assert [job["job_id"] for job in (await api.http.get("/jobs")).json()["jobs"]] == [theirs]
