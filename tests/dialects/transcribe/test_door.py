"""Who may come in, how often, and what strangers are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.config import RequestLimits
from api.dialects.transcribe.door import UPLOAD_CALLS
from tests.dialects.jobs.tokens import tokens
from tests.dialects.transcribe.asking import coded, created
from tests.dialects.transcribe.calling import ADDRESS, PATH, funded, send
from tests.hostile.requests.sending import request_head
from tests.servers.api import Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock
from tiro.services.limiter import Limiter, Rate

ID = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"
ROUTES = [
    ("POST", PATH),
    ("POST", "/v1/jobs"),
    ("POST", f"/v1/jobs/{ID}/upload-urls"),
    ("POST", f"/v1/jobs/{ID}/resume-upload"),
    ("GET", f"{PATH}/{ID}"),
    ("GET", f"{PATH}/{ID}/result"),
    ("DELETE", f"{PATH}/{ID}"),
    ("POST", f"{PATH}/{ID}/upload-completed"),
    ("POST", "/v1/add-funds"),
]
BROUGHT = {"type": "big_file", "size_bytes": 1000}
JOB = {"type": "big_file", "source": {"type": "url", "url": ADDRESS}}


async def _ask(api: Api, method: str, path: str, headers: Any) -> httpx2.Response:
    """With no credential but these headers."""
    async with httpx2.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http:
        return await http.request(method, path, headers=headers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.promise("T33")
async def test_every_route_asks_for_an_api_key(lasting: Api, method: str, path: str) -> None:
    """Missing and invalid are two codes; two credentials are none; a token of the other dialect opens nothing here."""
    token = (await tokens(lasting))["access_token"]
    key = {"Authorization": f"Bearer {lasting.key}"}
    missing = await _ask(lasting, method, path, {})
    assert coded(missing) == (401, "missing_api_key")
    assert missing.headers["www-authenticate"].startswith("Bearer")
    wrong: list[Any] = [
        {"Authorization": "Bearer tsk_live_unknown"},
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Token {lasting.key}"},
        {"Authorization": lasting.key},
        {"Authorization": "Bearer"},
        [*key.items(), *key.items()],
    ]
    told = [coded(await _ask(lasting, method, path, headers)) for headers in wrong]
    assert told == [(401, "invalid_api_key")] * len(wrong)
    assert (await _ask(lasting, method, path, key)).status_code not in {401, 403}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.promise("T32")
async def test_an_address_that_is_not_verified_is_a_403(lasting: Api, method: str, path: str) -> None:
    """On every route of this dialect, and on no other's; it is open once the address is verified."""
    account, key = await lasting.account_with_key(email="a@example.com", verified=False)
    headers = lasting.bearer(key)
    assert coded(await _ask(lasting, method, path, headers)) == (403, "email_not_verified")
    assert (await _ask(lasting, "GET", "/jobs", headers)).status_code == 200
    await lasting.house.accounts.change(account.account_id, verified=True)
    assert (await _ask(lasting, method, path, headers)).status_code != 403


@pytest.mark.asyncio(loop_scope="module")
async def test_a_suspended_account_is_nobody(lasting: Api) -> None:
    account, key = await lasting.account_with_key()
    await lasting.house.accounts.change(account.account_id, suspended=True)
    assert coded(await send(lasting, key=key)) == (401, "invalid_api_key")


@pytest.mark.promise("T29", "T31", "T33")
async def test_requests_of_an_account_are_counted_for_all_processes_together(
    make_api: ApiMaker, database_url: str
) -> None:
    """Ten in any minute on the free plan, whichever process and whichever of the two routes is asked; looking is free."""
    clock, limits = SetClock(SystemClock().now()), RequestLimits(wait_s=0.01)
    environ = {"TIRO_DATABASE_URL": database_url}
    apis = [await make_api(clock=clock, limits=limits, plan="free", environ=environ) for _ in range(2)]
    key = apis[0].key
    headers = apis[0].bearer(key)
    first = await send(apis[1], key=key)
    assert first.status_code == 200, first.text
    clock.advance(20)
    sync = [send(apis[number % 2], {"reference_id": str(number)}, key=key) for number in range(8)]
    jobs = [apis[number % 2].http.post("/v1/jobs", json=JOB, headers=headers) for number in range(8)]
    answers = await asyncio.gather(*sync, *jobs)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [429] * 7
    refused = [answer for answer in answers if answer.status_code == 429]
    told = {(coded(answer), str(answer.json()["limits"]), answer.headers["retry-after"]) for answer in refused}
    assert told == {((429, "rate_limit_exceeded"), "{'plan': 'free', 'requests_per_minute': 10}", "40")}
    looked = [await apis[0].http.get(f"{PATH}/{first.json()['job_id']}", headers=headers) for _ in range(15)]
    assert {answer.status_code for answer in looked} == {200}
    assert (await send(apis[0], key=apis[1].key)).status_code == 200
    clock.advance(40)
    assert [(await send(api, {"reference_id": "later"}, key=key)).status_code for api in apis] == [200, 429]


@pytest.mark.promise("T29", "T31")
async def test_who_pays_as_they_go_may_ask_300_times_a_minute(make_api: ApiMaker) -> None:
    api = await funded(await make_api(plan="payg", clock=SetClock(SystemClock().now())))
    statuses = [(await api.http.post(PATH, content=b"")).status_code for _ in range(301)]
    assert statuses == [400] * 300 + [429]


@pytest.mark.promise("T29")
@pytest.mark.parametrize("path", ["upload-urls", "resume-upload"])
async def test_questions_for_addresses_have_a_count_of_their_own(make_api: ApiMaker, path: str) -> None:
    """Six hundred a minute, on any plan; neither count eats from the other."""
    clock = SetClock(SystemClock().now())
    api = await funded(await make_api(plan="free", clock=clock))
    job_id = (await api.http.post("/v1/jobs", json=JOB)).json()["job_id"]
    rate = Rate(("transcribe-uploads", api.account.account_id), UPLOAD_CALLS, within_s=60)
    for _ in range(UPLOAD_CALLS - 20):
        await Limiter(api.house.records, clock).count(rate)
    answers = [await api.http.post(f"/v1/jobs/{job_id}/{path}", json={}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [400] * 20 + [429]
    assert coded(answers[-1]) == (429, "rate_limit_exceeded")
    assert answers[-1].json()["limits"] == {"upload_requests_per_minute": 600}
    assert (await api.http.post("/v1/jobs", json=JOB)).status_code == 200


@pytest.mark.promise("T29")
async def test_no_more_jobs_await_their_uploads_than_the_plan_allows(make_api: ApiMaker, tmp_path: Path) -> None:
    """Those whose bytes are there, are elsewhere, or that were deleted do not count."""
    plans = tmp_path / "plans.toml"
    plans.write_text("[plans.business]\nmax_awaiting = 2\n")
    api = await funded(await make_api(environ={"TIRO_PLANS": str(plans)}))
    first, _ = [(await created(api, BROUGHT | {"reference_id": name}))["job_id"] for name in "ab"]
    for body in (BROUGHT, {"type": "batch", "files": [{"filename": "a.mp3", "size_bytes": 1}]}):
        answer = await api.http.post("/v1/jobs", json=body)
        assert coded(answer) == (429, "rate_limit_exceeded")
        assert answer.json()["limits"] == {"awaiting_jobs": 2}
        assert answer.headers["retry-after"] == "60"
    assert (await api.http.delete(f"/v1/transcribe/{first}")).status_code == 200
    assert (await api.http.post("/v1/jobs", json=BROUGHT)).status_code == 200


@pytest.mark.promise("T29")
async def test_a_request_too_many_is_refused_before_its_body(make_api: ApiMaker) -> None:
    api = await make_api(plan="free", clock=SetClock(SystemClock().now()))
    assert {(await api.http.post(PATH, content=b"")).status_code for _ in range(10)} == {400}
    answer = await api.raw(request_head(api.key, PATH, length=99_999))
    assert answer.startswith(b"HTTP/1.1 429 ")
