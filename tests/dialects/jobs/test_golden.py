"""Do the answers look as they did? Each kind once, key by key in its order, against a file that a person can read."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.model.hook import Attempt
from tiro.model.ledger import HoldTerms, month_of

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
_HOOK = "https://93.184.215.14/hook"
_HEADERS = ("content-type", "retry-after", "content-disposition", "www-authenticate")


async def _accepted(api: Api) -> httpx2.Response:
    return await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(2.0))})


async def _queued(api: Api) -> httpx2.Response:
    return await api.http.get(f"/jobs/{await api.submit()}")


async def _processing(api: Api) -> httpx2.Response:
    job_id = await api.submit(webhook_url=_HOOK)
    await api.run_until(job_id, spans_done=1)
    return await api.http.get(f"/jobs/{job_id}")


async def _completed(api: Api) -> httpx2.Response:
    job_id = await api.submit(webhook_url=_HOOK)
    await api.complete(job_id)
    ((delivery, _),) = await api.house.jobs.deliveries(job_id)
    async with api.house.records.begin() as tx:
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        attempt = Attempt(event_id=delivery.event_id, number=1, at=now, status=503, error=None, took_ms=12)
        await tx.hooks.record(attempt, "pending", now)
    return await api.http.get(f"/jobs/{job_id}")


async def _failed(api: Api) -> httpx2.Response:
    job_id = await api.submit()
    await api.fail(job_id, "invalid_audio", "decode_failed")
    return await api.http.get(f"/jobs/{job_id}")


async def _cancelled(api: Api) -> httpx2.Response:
    return await api.http.post(f"/jobs/{await api.submit()}/cancel")


async def _transcript(api: Api) -> httpx2.Response:
    job_id = await api.submit()
    await api.complete(job_id)
    return await api.http.get(f"/jobs/{job_id}/transcript")


async def _not_ready(api: Api) -> httpx2.Response:
    return await api.http.get(f"/jobs/{await api.submit()}/transcript")


async def _spent(api: Api) -> httpx2.Response:
    now = api.house.clock.now()
    terms = HoldTerms(quota_s=None, overage_micros_per_minute=None)
    async with api.house.records.begin() as tx:
        await tx.ledger.hold(api.account.account_id, "job_before", 1, 1200 * 60, month_of(now), terms, now)
    return await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(2.0))})


async def _listed(api: Api) -> httpx2.Response:
    await _cancelled(api)
    return await api.http.get("/jobs")


async def _stranger(api: Api) -> httpx2.Response:
    return await api.http.get("/jobs", headers=api.bearer("eyJ.x.y"))


KINDS: dict[str, tuple[Callable[[Api], Awaitable[httpx2.Response]], str]] = {
    "accepted": (_accepted, "J18"),
    "queued": (_queued, "J30"),
    "processing": (_processing, "J30"),
    "completed": (_completed, "J30"),
    "failed": (_failed, "J30"),
    "cancelled": (_cancelled, "J30"),
    "list": (_listed, "J4"),
    "transcript": (_transcript, "J33"),
    "not_ready": (_not_ready, "J31"),
    "quota_exceeded": (_spent, "J22"),
    "invalid_token": (_stranger, "J13"),
}


def _shown(answer: httpx2.Response) -> dict[str, Any]:
    """Status, the headers that mean something, and the body, without what is another each time."""
    text = re.sub(r"job_[0-9A-Z]{26}", "job_ID", answer.text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", text)
    text = re.sub(r'"eta_seconds":[1-9]\d*', '"eta_seconds":"SECONDS"', text)
    text = re.sub(r'"resets_at":"\d{4}-\d\d-01T00:00:00Z"', '"resets_at":"MONTH"', text)
    headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    for name, varies in (("content-disposition", r"job_[0-9A-Z]{26}"), ("retry-after", r"\d+")):
        if name in headers:
            headers[name] = re.sub(varies, "VARIES", headers[name])
    return {"status": answer.status_code, "headers": headers, "body": json.loads(text)}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.promise(line)) for kind, (_, line) in KINDS.items()]
)
async def test_an_answer_looks_as_it_did(make_api: ApiMaker, kind: str) -> None:
    """Where a change is meant, the file is changed with it; clients read these keys."""
    api = await make_api(plan="pro", unmetered=False)
    ask, _ = KINDS[kind]
    shown = _shown(await ask(api))
    assert json.dumps(shown, indent=1) == json.dumps(GOLDEN[kind], indent=1)
