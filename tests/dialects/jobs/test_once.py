"""Idempotency-Key: a request that comes again is answered as the first time, and carried out once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock
from tiro.model.ledger import HoldTerms, month_of

pytestmark = pytest.mark.promise("J48")

ADDRESS = {"source_url": "https://93.184.215.14/a.mp3"}
FORM = {"files": {"file": ("a.wav", tone_wav(2.0))}}
JSON = {"json": ADDRESS}


async def _post(api: Api, key: str = "once", path: str = "/jobs", **request: Any) -> httpx2.Response:
    return await api.http.post(path, headers={"Idempotency-Key": key, **request.pop("headers", {})}, **request)


async def _jobs(api: Api) -> list[str]:
    return [job["job_id"] for job in (await api.http.get("/jobs?limit=200")).json()["jobs"]]


async def _check_one(api: Api, answers: list[httpx2.Response]) -> None:
    """All are the same 202, one of them is the first, and there is one job with one recording and no open upload."""
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert sorted(map(str, replayed)) == ["None"] + ["true"] * (len(answers) - 1)
    job_id = answers[0].json()["job_id"]
    assert await _jobs(api) == [job_id]
    await _check_kept(api, job_id)


async def _check_kept(api: Api, *job_ids: str) -> None:
    """The store and the open uploads hold nothing but these jobs' recordings."""
    assert {info.key.split("/")[1] for info in api.house.blobs.list("jobs/")} <= set(job_ids)
    async with api.house.records.begin() as tx:
        assert await tx.jobs.stale_uploads(api.house.clock.now()) == []


@pytest.mark.parametrize("request_", [JSON, FORM], ids=["json", "form"])
async def test_the_second_time_gives_the_first_answer(api: Api, request_: dict[str, Any]) -> None:
    """Same status and bytes, an id of its own, and a header that says so; the second recording is gone."""
    first = await _post(api, **request_)
    second = await _post(api, **request_)
    assert [answer.headers.get("idempotent-replayed") for answer in (first, second)] == [None, "true"]
    await _check_one(api, [first, second])


async def test_without_a_key_every_request_is_another(api: Api) -> None:
    answers = [await api.http.post("/jobs", **FORM) for _ in range(2)]
    assert len({answer.json()["job_id"] for answer in answers}) == 2
    assert not any("idempotent-replayed" in answer.headers for answer in answers)


async def test_the_same_job_is_the_same_request_however_it_is_written(api: Api) -> None:
    """Defaults may be said, what does not count may differ, and an address may come in a form."""
    answers = [
        await _post(api, json={**ADDRESS, "language": "en"}),
        await _post(api, json={"unknown": 1, "language": "en", "diarize": True, "webhook_url": None, **ADDRESS}),
        await _post(api, path="/jobs?accept_overage=false", json={**ADDRESS, "language": "en"}),
        await _post(api, files={"source_url": (None, ADDRESS["source_url"]), "language": (None, "en")}),
    ]
    await _check_one(api, answers)
    files = [{"file": (name, tone_wav(2.0))} for name in ("a.wav", "b.mp3")]
    first, second = [await _post(api, "file", files=file, data={"diarize": "1"}) for file in files]
    assert first.content == second.content


OTHERS: dict[str, dict[str, Any]] = {
    "other address": {"json": {"source_url": "https://93.184.215.14/b.mp3"}},
    "other language": {"json": {**ADDRESS, "language": "de"}},
    "without diarization": {"json": {**ADDRESS, "diarize": False}},
    "with a webhook": {"json": {**ADDRESS, "webhook_url": "https://93.184.215.14/hook"}},
    "with overage": {"json": ADDRESS, "path": "/jobs?accept_overage=true"},
    "a file": FORM,
    "wrong field": {"json": {"source_url": "https://93.184.215.14/b.mp3", "language": "xx"}},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.hostile_input(41, "an Idempotency-Key with another request", "409 idempotency_conflict")
async def test_the_same_key_with_another_request_is_a_conflict(api: Api, other: str, seen: Any) -> None:
    """And neither makes a job nor takes the first answer away."""
    first = await _post(api, **JSON)
    answer = await _post(api, **OTHERS[other])
    assert (answer.status_code, answer.json()["error"]) == (409, "idempotency_conflict")
    seen(f"{answer.status_code} {answer.json()['error']}")
    await _check_one(api, [first, await _post(api, **JSON)])


async def test_the_bytes_of_the_file_count(api: Api) -> None:
    first = await _post(api, **FORM)
    answer = await _post(api, files={"file": ("a.wav", tone_wav(2.0, level=0.4))})
    assert (answer.status_code, answer.json()["error"]) == (409, "idempotency_conflict")
    assert await _jobs(api) == [first.json()["job_id"]]
    await _check_kept(api, first.json()["job_id"])


@pytest.mark.parametrize("key", ["", "k" * 129, "schlüssel", "k\x7f"])
@pytest.mark.hostile_input(41, "an Idempotency-Key that is none", "400 invalid_request with param")
async def test_a_key_is_up_to_128_printable_characters(api: Api, key: str, seen: Any) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = await api.http.post("/jobs", headers=headers, **JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert answer.json()["param"] == "Idempotency-Key"
    assert await _jobs(api) == []


@pytest.mark.hostile_input(41, "two Idempotency-Keys", "400 invalid_request with param")
async def test_two_keys_are_none(api: Api, seen: Any) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = await api.http.post("/jobs", headers=headers, **JSON)
    assert (answer.status_code, answer.json().get("param")) == (400, "Idempotency-Key")
    seen(f"{answer.status_code} {answer.json()['error']}")


async def test_the_longest_and_the_oddest_keys_are_kept_apart(api: Api) -> None:
    keys = ["k" * 128, "K" * 128, "a b", "a  b", "{}", "~!\"#$%&'()*+,-./:;<=>?@[\\]^_`|"]
    answers = [await _post(api, key, **JSON) for key in keys for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202] * 12
    assert len(await _jobs(api)) == len(keys)


@pytest.mark.hostile_input(41, "an Idempotency-Key of another account", "independent")
async def test_another_account_may_use_the_same_key(api: Api, seen: Any) -> None:
    """It learns nothing of the first, and its own is kept too; a token of an account is the account."""
    first = await _post(api, **JSON)
    _, key = await api.account_with_key()
    theirs = [await _post(api, **JSON, headers=api.bearer(key)) for _ in range(2)]
    assert [answer.status_code for answer in theirs] == [202, 202]
    assert theirs[0].content == theirs[1].content != first.content
    token = (await api.http.post("/auth/token", json={"api_key": api.key})).json()["access_token"]
    assert (await _post(api, **JSON, headers=api.bearer(token))).content == first.content
    seen("independent")


@pytest.mark.hostile_input(41, "an Idempotency-Key at another endpoint", "independent")
async def test_a_key_means_nothing_elsewhere(api: Api, seen: Any) -> None:
    job_id = (await _post(api, **JSON)).json()["job_id"]
    cancelled = [await _post(api, path=f"/jobs/{job_id}/cancel") for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in cancelled] == [(200, "cancelled")] * 2
    seen("independent")


async def test_an_answer_is_kept_for_24_hours_and_not_a_microsecond_longer(make_api: ApiMaker) -> None:
    clock = SetClock(SystemClock().now())
    api = await make_api(clock=clock)
    first = await _post(api, **JSON)
    clock.advance(86_400 - 1e-6)
    assert (await _post(api, **JSON)).content == first.content
    clock.advance(1e-6)
    late = await _post(api, **JSON)
    assert late.status_code == 202
    assert "idempotent-replayed" not in late.headers
    assert await _jobs(api) == [late.json()["job_id"], first.json()["job_id"]]
    clock.advance(86_400 - 1e-6)
    assert (await _post(api, **JSON)).content == late.content


async def test_a_request_that_failed_was_not_carried_out(make_api: ApiMaker) -> None:
    """Whatever was wrong with it or with the account, the mended request goes under the same key."""
    api = await make_api(plan="free", unmetered=False)
    wrong: list[tuple[int, dict[str, Any]]] = [
        (400, {"json": {**ADDRESS, "language": "xx"}}),
        (400, {"json": {"source_url": "http://127.0.0.1/"}}),
        (400, {"json": {**ADDRESS, "webhook_url": "http://10.0.0.1/"}}),
        (415, {"files": {"file": ("a.mp3", b"<html>" * 99)}}),
        (415, {"content": b"x"}),
    ]
    for status, request in wrong:
        assert (await _post(api, **request)).status_code == status
    await _hold(api, 60 * 60)
    assert (await _post(api, **FORM)).status_code == 402
    await api.house.accounts.change(api.account.account_id, plan="pro")
    await _check_one(api, [await _post(api, **FORM), await _post(api, **FORM)])


async def test_a_request_that_broke_off_was_not_carried_out(api: Api) -> None:
    head = (
        "POST /jobs HTTP/1.1\r\nHost: x\r\nIdempotency-Key: once\r\nContent-Length: 99999\r\n"
        f"Authorization: Bearer {api.key}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\nRIFF'
    )
    await api.raw(head.encode(), half_close=True)
    await _check_one(api, [await _post(api, **FORM), await _post(api, **FORM)])


@pytest.mark.parametrize("request_", [JSON, FORM], ids=["json", "form"])
async def test_of_twenty_at_once_over_two_processes_one_is_carried_out(
    make_api: ApiMaker, database_url: str, request_: dict[str, Any]
) -> None:
    """The others wait for it and say the same; minutes are held once. Each process has a store, to see what it left there."""
    apis = [await make_api(plan="pro", unmetered=False, environ={"TIRO_DATABASE_URL": database_url}) for _ in range(2)]
    posts = [_post(apis[number % 2], headers=apis[0].bearer(apis[0].key), **request_) for number in range(20)]
    answers = await asyncio.gather(*posts)
    await _check_one(apis[0], answers)
    await _check_kept(apis[1], answers[0].json()["job_id"])
    stored = [info for api in apis for info in api.house.blobs.list("jobs/")]
    assert len(stored) == (request_ is FORM)
    async with apis[0].house.records.begin() as tx:
        entries = await tx.ledger.entries(apis[0].account.account_id)
    assert [(entry.kind, entry.included_s) for entry in entries] == ([("hold", 2)] if request_ is FORM else [])


async def test_twenty_at_once_of_which_each_would_fail_leave_nothing(make_api: ApiMaker, postgres_url: str) -> None:
    """Each that waited is tried itself: the first one's failure is no answer to keep."""
    apis = [await make_api(plan="free", unmetered=False, environ={"TIRO_DATABASE_URL": postgres_url}) for _ in range(2)]
    await _hold(apis[0], 60 * 60)
    posts = [_post(apis[number % 2], headers=apis[0].bearer(apis[0].key), **FORM) for number in range(20)]
    assert {answer.status_code for answer in await asyncio.gather(*posts)} == {402}
    await apis[0].house.accounts.change(apis[0].account.account_id, plan="pro")
    taken = await _post(apis[0], **FORM)
    assert (taken.status_code, taken.headers.get("idempotent-replayed")) == (202, None)


@pytest.mark.parametrize("request_", [JSON, FORM], ids=["json", "form"])
async def test_an_answer_is_given_again_when_a_new_job_would_be_refused(
    make_api: ApiMaker, request_: dict[str, Any]
) -> None:
    """Minutes spent and slots taken: a new request is refused, the repeated one is not, and changes nothing."""
    api = await make_api(plan="free", unmetered=False)
    await api.submit()
    first = await _post(api, **request_)
    await _hold(api, 60 * 60)
    await api.house.accounts.change(api.account.account_id, queueing=False)
    assert (await _post(api, "another", **request_)).status_code == 429
    assert (await _post(api, **request_)).content == first.content
    await api.house.accounts.change(api.account.account_id, queueing=True)
    assert (await _post(api, "another", **FORM)).status_code == 402
    again = await _post(api, **request_)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert len(await _jobs(api)) == 2


async def test_an_answer_is_given_again_when_the_addresses_are_not_reached_any_more(
    make_api: ApiMaker, sqlite_url: str
) -> None:
    """Here another process is told to reach less."""
    fields = {"source_url": "http://127.0.0.1:1/a.mp3", "webhook_url": "http://127.0.0.1:1/hook"}
    one = await make_api(environ={"TIRO_DATABASE_URL": sqlite_url, "TIRO_EGRESS_ALLOW": "127.0.0.0/8"})
    other = await make_api(environ={"TIRO_DATABASE_URL": sqlite_url})
    first = await _post(one, json=fields)
    mine = one.bearer(one.key)
    assert (await _post(other, "another", json=fields, headers=mine)).status_code == 400
    assert (await _post(other, json=fields, headers=mine)).content == first.content


async def test_an_answer_is_given_again_after_its_job_was_deleted(api: Api) -> None:
    first = await _post(api, **FORM)
    job_id = first.json()["job_id"]
    await api.complete(job_id)
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 204
    again = await _post(api, **FORM)
    assert (again.status_code, again.content) == (202, first.content)
    assert (await api.http.get(f"/jobs/{job_id}")).status_code == 404
    await _check_kept(api)


async def _hold(api: Api, seconds: int) -> None:
    """Some other job has taken so many seconds of the month."""
    now = api.house.clock.now()
    terms = HoldTerms(quota_s=None, overage_micros_per_minute=None)
    async with api.house.records.begin() as tx:
        await tx.ledger.hold(api.account.account_id, "job_before", 1, seconds, month_of(now), terms, now)
