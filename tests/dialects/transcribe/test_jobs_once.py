"""A job whose creator lost the answer and asks again with the same Idempotency-Key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.transcribe.asking import URL, coded
from tests.dialects.transcribe.calling import funded, jobs
from tests.servers.api import Api

BY_URL = {"type": "big_file", "source": {"type": "url", "url": URL}}
BATCH = {"type": "batch", "files": [{"reference_id": "a"}, {"reference_id": "b", "url": URL}]}
URLS = {"files": [{"reference_id": "a", "url": URL}, {"reference_id": "b", "url": URL}]}


@pytest.fixture
async def paid(api: Api) -> Api:
    return await funded(api)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/jobs", BY_URL), ("/v1/jobs", BATCH), ("/v1/transcribe", URLS)],
    ids=["by its address", "a batch by pages", "a batch of addresses"],
)
@pytest.mark.promise("T37")
async def test_it_is_the_same_job(paid: Api, path: str, body: dict[str, Any]) -> None:
    first, again = [await paid.http.post(path, json=body, headers={"Idempotency-Key": "mine"}) for _ in range(2)]
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(await jobs(paid)) == 1


async def test_the_same_key_for_something_else_is_a_conflict(paid: Api) -> None:
    bodies = [BATCH, {**BATCH, "language": "en"}]
    answers = [await paid.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "mine"}) for body in bodies]
    assert coded(answers[1]) == (409, "idempotency_conflict")


async def test_addresses_for_uploads_are_not_kept(paid: Api) -> None:
    body = {"type": "big_file", "size_bytes": 1000}
    first, again = [await paid.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "mine"}) for _ in range(2)]
    assert first.json()["job_id"] != again.json()["job_id"]


async def test_what_is_no_key_is_refused(paid: Api) -> None:
    answer = await paid.http.post("/v1/jobs", json=BATCH, headers={"Idempotency-Key": "x" * 129})
    assert coded(answer) == (400, "invalid_job_request")
