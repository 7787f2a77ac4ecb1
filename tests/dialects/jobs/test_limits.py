"""Too often: exchanges of keys, submissions, and jobs at once. The count is one for all API processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from api.config import RequestLimits
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock

ADDRESS = {"source_url": "https://93.184.215.14/a.mp3"}


async def _exchange(api: Api, key: str, **headers: str) -> httpx2.Response:
    return await api.http.post("/auth/token", json={"api_key": key}, headers=headers)


async def _submit(api: Api, key: str | None = None, **headers: str) -> httpx2.Response:
    return await api.http.post("/jobs", json=ADDRESS, headers={**api.bearer(key or api.key), **headers})


@pytest.mark.promise("J14")
async def test_two_processes_count_the_exchanges_of_a_key_together(make_api: ApiMaker, database_url: str) -> None:
    """Ten in any minute, whichever process is asked; refreshing is free; and a minute after the first there is room for one."""
    clock = SetClock(SystemClock().now())
    apis = [await make_api(clock=clock, environ={"TIRO_DATABASE_URL": database_url}) for _ in range(2)]
    key = apis[0].key
    first = await _exchange(apis[1], key)
    clock.advance(20)
    answers = await asyncio.gather(*(_exchange(apis[number % 2], key) for number in range(20)))
    assert sorted(answer.status_code for answer in (first, *answers)) == [200] * 10 + [429] * 11
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {(answer.json()["error"], answer.headers["retry-after"]) for answer in refused} == {("rate_limited", "40")}
    refresh = {"refresh_token": first.json()["refresh_token"]}
    refreshed = [(await apis[0].http.post("/auth/refresh", json=refresh)).status_code for _ in range(20)]
    assert refreshed == [200] * 20
    clock.advance(40)
    assert [(await _exchange(api, key)).status_code for api in apis] == [200, 429]


@pytest.mark.promise("J14")
async def test_two_processes_count_the_guesses_of_a_peer_together(make_api: ApiMaker, database_url: str) -> None:
    """Thirty in any minute, right keys or wrong ones, whatever it says of where it comes from."""
    apis = [await make_api(environ={"TIRO_DATABASE_URL": database_url}) for _ in range(2)]
    elsewhere = ("X-Forwarded-For", "X-Real-Ip", "Forwarded")
    answers = await asyncio.gather(
        *(
            _exchange(apis[number % 2], f"tsk_live_{number}", **dict.fromkeys(elsewhere, f"10.0.0.{number}"))
            for number in range(45)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [401] * 30 + [429] * 15
    assert (await _exchange(apis[0], apis[0].key)).status_code == 429


@pytest.mark.promise("J14")
async def test_neither_keys_nor_addresses_are_written_down_to_count_them(api: Api, tmp_path: Path) -> None:
    await _exchange(api, api.key)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("tiro.db*"))
    assert written
    assert api.key.encode() not in written
    assert b"127.0.0.1" not in written


@pytest.mark.promise("J39")
async def test_a_burst_of_submissions_is_fine(api: Api) -> None:
    answers = await asyncio.gather(*(_submit(api) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}


@pytest.mark.promise("J39")
async def test_a_cap_on_submissions_holds_for_each_account_over_all_processes(
    make_api: ApiMaker, database_url: str
) -> None:
    """Where the operator set one. Repeated requests count too, and the next second there is room again."""
    clock, limits = SetClock(SystemClock().now()), RequestLimits(submissions_per_s=5)
    apis = [await make_api(clock=clock, limits=limits, environ={"TIRO_DATABASE_URL": database_url}) for _ in range(2)]
    once = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(_submit(apis[number % 2], apis[0].key, **once) for number in range(12)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 7
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {(answer.json()["error"], answer.headers["retry-after"]) for answer in refused} == {("rate_limited", "1")}
    assert (await _submit(apis[0], apis[1].key)).status_code == 202
    assert (await apis[0].http.get("/jobs")).status_code == 200
    clock.advance(1)
    assert (await _submit(apis[1], apis[0].key)).status_code == 202


@pytest.mark.promise("J39")
async def test_a_submission_too_many_is_refused_before_its_body(make_api: ApiMaker) -> None:
    api = await make_api(clock=SetClock(SystemClock().now()), limits=RequestLimits(submissions_per_s=1))
    assert (await _submit(api)).status_code == 202
    head = (
        "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\nConnection: close\r\n"
        f"Authorization: Bearer {api.key}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    answer = await api.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 1\r\n" in answer.lower()


@pytest.mark.promise("J39", "J20")
async def test_with_queueing_the_21st_job_of_pro_waits(make_api: ApiMaker) -> None:
    """It does not fail, and starts when another ends."""
    api = await make_api(plan="pro")
    answers = [await _submit(api) for _ in range(21)]
    assert {answer.status_code for answer in answers} == {202}
    job_ids = [answer.json()["job_id"] for answer in answers]
    await api.house.dispatch.once()
    assert sorted(job_id for job_id, _ in api.orchestrator.launched) == sorted(job_ids[:20])
    assert (await api.http.get(f"/jobs/{job_ids[20]}")).json()["status"] == "queued"
    await api.house.endings.end(job_ids[7], 1, "cancelled")
    await api.house.dispatch.once()
    assert (job_ids[20], 1) in api.orchestrator.launched


@pytest.mark.promise("J39")
async def test_without_queueing_what_waits_and_what_runs_counts(make_api: ApiMaker) -> None:
    """The job beyond is a 429 with Retry-After, file or address, and is taken when one has ended."""
    api = await make_api(plan="free")
    running, waiting = [await api.submit() for _ in range(2)]
    await api.run_until(running)
    await api.house.accounts.change(api.account.account_id, queueing=False)
    statuses = [job["status"] for job in (await api.http.get("/jobs")).json()["jobs"]]
    assert sorted(statuses) == ["processing", "queued"]
    refused = [await _submit(api), await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(2.0))})]
    assert [(one.status_code, one.json()["error"]) for one in refused] == [(429, "rate_limited")] * 2
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert (await api.http.post(f"/jobs/{waiting}/cancel")).status_code == 200
    assert (await _submit(api)).status_code == 202
    assert (await _submit(api)).status_code == 429
