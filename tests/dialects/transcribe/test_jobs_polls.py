"""What does a poller see of a job, and where is its result?"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx2
import pytest

from tests.dialects.transcribe.asking import URL, big_file, coded, completed, created, job_of, looked, put
from tests.dialects.transcribe.calling import funded
from tests.servers.api import PUBLIC_URL, Api
from tests.servers.audio import tone_wav
from tiro.adapters.fakes import SetClock
from tiro.model.job import JobPatch

UNKNOWN = (404, "job_not_found")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ApiMaker = Callable[..., Awaitable[Api]]


@pytest.fixture
async def paid(api: Api) -> Api:
    return await funded(api)


async def done(api: Api, **fields: str) -> str:
    """A job that was uploaded and is completed."""
    answer = await big_file(api, size_bytes=len(tone_wav(2.0)), content_type="audio/wav", **fields)
    upload = answer["uploads"][0]["upload"]
    await put(api, upload["url"], tone_wav(2.0), upload["headers"])
    await completed(api, answer["job_id"])
    await api.complete(answer["job_id"])
    return str(answer["job_id"])


@pytest.mark.promise("T24")
async def test_a_job_under_way_tells_nothing_of_its_end(paid: Api) -> None:
    job_id = (await big_file(paid, reference_id="talk"))["job_id"]
    told = await looked(paid, job_id)
    assert MOMENT.fullmatch(told.pop("created_at"))
    assert told == {
        "job_id": job_id,
        "status": "uploading",
        "job_status": "uploading",
        "total_files": 1,
        "processed_files": 0,
        "failed_files": 0,
        "progress": 0.0,
        "billed_seconds": 0,
        "price_per_hour": 0.15,
        "cost": 0.0,
        "reference_id": "talk",
    }


@pytest.mark.promise("T24")
async def test_while_it_is_transcribed_it_is_queued_and_progress_tells(paid: Api) -> None:
    job_id = (await created(paid, {"type": "big_file", "source": {"type": "url", "url": URL}}))["job_id"]
    await paid.run_until(job_id, spans_done=1)
    for stage, status in (("fetching", "verifying"), ("preparing", "verifying"), ("transcribing", "queued")):
        await paid.house.line.patch(job_id, 1, JobPatch(stage=stage))  # type: ignore[arg-type]  # one of the stages
        told = await looked(paid, job_id)
        assert (told["status"], told["job_status"], told["progress"]) == (status, status, 0.5)


@pytest.mark.promise("T25")
async def test_a_completed_job_tells_its_price_and_where_the_result_is(paid: Api) -> None:
    told = await looked(paid, await done(paid))
    assert (told["status"], told["job_status"], told["progress"], told["processed_files"]) == (
        "completed",
        "completed",
        1.0,
        1,
    )
    assert (told["billed_seconds"], told["price_per_hour"], told["cost"]) == (2, 0.15, 0.000083)
    assert told["remaining_balance"] == 9.999917
    assert MOMENT.fullmatch(told["expires_at"])
    assert not {"error", "code", "webhook_delivered_at"} & told.keys()


@pytest.mark.promise("T25")
async def test_the_result_is_fetched_without_a_key(paid: Api) -> None:
    job_id = await done(paid)
    url = (await looked(paid, job_id))["result_url"]
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(url.replace(PUBLIC_URL, paid.url))
    assert answer.status_code == 200
    assert answer.json()["text"] == "So tell. Yes."
    assert answer.json()["job_id"] == job_id


@pytest.mark.promise("T25")
async def test_every_look_gives_a_url_of_another_seven_days_while_the_result_is_kept(make_api: ApiMaker) -> None:
    clock = SetClock()
    api = await funded(await make_api(clock=clock))
    job_id = await done(api)
    for day, left in ((0, 7), (20, 7), (27, 3)):
        clock.set(SetClock().now() + timedelta(days=day))
        told = await looked(api, job_id)
        ends = clock.now() + timedelta(days=left)
        assert told["expires_at"] == f"{ends:%Y-%m-%dT%H:%M:%S}.000Z"
        fetched = await api.http.get(told["result_url"].removeprefix(PUBLIC_URL))
        assert fetched.status_code == 200
    clock.set(SetClock().now() + timedelta(days=30))
    for path in ("", "/result"):
        assert coded(await api.http.get(f"/v1/transcribe/{job_id}{path}")) == UNKNOWN


@pytest.mark.promise("T26")
async def test_the_result_of_a_completed_job_is_elsewhere(paid: Api) -> None:
    answer = await paid.http.get(f"/v1/transcribe/{await done(paid)}/result", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{PUBLIC_URL}/files/")
    assert (await paid.http.get(answer.headers["location"].removeprefix(PUBLIC_URL))).status_code == 200


@pytest.mark.promise("T26", "T33")
async def test_a_result_that_is_not_there_is_a_409_with_the_state(paid: Api) -> None:
    waiting = (await big_file(paid))["job_id"]
    failed = (await big_file(paid))["job_id"]
    await completed(paid, failed)
    for job_id, status in ((waiting, "uploading"), (failed, "failed")):
        answer = await paid.http.get(f"/v1/transcribe/{job_id}/result")
        assert (coded(answer), answer.json()["job_status"]) == ((409, "result_not_available"), status)


async def test_a_failed_job_says_why_and_costs_nothing(paid: Api) -> None:
    job_id = (await created(paid, {"type": "big_file", "source": {"type": "url", "url": URL}}))["job_id"]
    await paid.fail(job_id, "source_unavailable", "http_status", upstream_status=404)
    told = await looked(paid, job_id)
    assert (told["status"], told["job_status"], told["code"]) == (
        "failed_source_missing",
        "failed",
        "failed_source_missing",
    )
    assert told["error"]
    assert (told["billed_seconds"], told["cost"], told["remaining_balance"]) == (0, 0.0, 10.0)
    assert "result_url" not in told


@pytest.mark.promise("T8")
async def test_delete_cancels_what_is_under_way_and_removes_what_has_ended(paid: Api) -> None:
    awaited, running = (await big_file(paid))["job_id"], (await big_file(paid))["job_id"]
    paid.house.blobs.put(f"jobs/{running}/source", b"x" * 1000)
    await completed(paid, running)
    await paid.run_until(running, spans_done=1)
    for job_id in (awaited, running):
        answer = await paid.http.delete(f"/v1/transcribe/{job_id}")
        assert answer.status_code == 200
        told = await looked(paid, job_id)
        assert told == answer.json()
        assert (told["status"], told["job_status"]) == ("failed_cancelled", "failed")
        assert (await paid.http.delete(f"/v1/transcribe/{job_id}")).status_code == 204
        assert coded(await paid.http.get(f"/v1/transcribe/{job_id}")) == UNKNOWN
        assert coded(await paid.http.delete(f"/v1/transcribe/{job_id}")) == UNKNOWN


@pytest.mark.promise("T37")
async def test_an_upload_that_nobody_goes_on_with_has_expired(make_api: ApiMaker) -> None:
    clock = SetClock()
    api = await funded(await make_api(clock=clock))
    job_id = (await big_file(api))["job_id"]
    clock.advance(24 * 3600 + 1)
    await api.house.upkeep.sweep()
    told = await looked(api, job_id)
    assert (told["status"], told["job_status"]) == ("failed_upload_expired", "failed")


@pytest.mark.promise("T42")
@pytest.mark.parametrize(
    "text",
    [
        "job_01J00000000000000000000000",
        "nothing",
        "job_01J00000000000000000000000.00001",
        "%00",
        "..%2f..%2fetc",
        "job_" + "x" * 5000,
        "%F0%9F%98%80",
        "' OR 1=1",
    ],
)
async def test_an_id_that_names_no_job_is_unknown_on_every_route(api: Api, text: str) -> None:
    for method, path in (
        ("GET", f"/v1/transcribe/{text}"),
        ("GET", f"/v1/transcribe/{text}/result"),
        ("DELETE", f"/v1/transcribe/{text}"),
        ("POST", f"/v1/transcribe/{text}/upload-completed"),
        ("POST", f"/v1/jobs/{text}/upload-urls"),
        ("POST", f"/v1/jobs/{text}/resume-upload"),
    ):
        answer = await api.http.request(method, path)
        assert answer.status_code == 404
        assert coded(answer)[1] in {"job_not_found", "not_found"}


async def test_a_job_of_another_account_or_dialect_is_unknown(paid: Api) -> None:
    """Word for word as one that never was, and the other way round."""
    mine = (await big_file(paid))["job_id"]
    other = await paid.submit()
    _, key = await paid.account_with_key()
    never = await paid.http.get("/v1/transcribe/job_01J00000000000000000000000")
    stranger = await paid.http.get(f"/v1/transcribe/{mine}", headers=paid.bearer(key))
    elsewhere = await paid.http.get(f"/v1/transcribe/{other}")
    assert coded(never) == UNKNOWN
    assert never.content == stranger.content == elsewhere.content
    for method, path in (("POST", "upload-completed"), ("GET", "result")):
        theirs = await paid.http.request(method, f"/v1/transcribe/{mine}/{path}", headers=paid.bearer(key))
        assert coded(theirs) == UNKNOWN
    assert (await paid.http.get(f"/jobs/{mine}")).status_code == 404
    assert mine not in (await paid.http.get("/jobs")).text
    assert (await job_of(paid, mine)).awaiting
