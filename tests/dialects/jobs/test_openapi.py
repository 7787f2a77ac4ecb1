"""The OpenAPI document: a foreign validator takes it, its examples run, and what comes back is what it says."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from api.dialects.jobs.openapi import OPERATIONS
from tests.dialects.describing import check, document_of
from tests.servers.api import Api

ROOT = Path(__file__).parents[3]
UNKNOWN = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.promise("J49")
async def test_a_foreign_validator_takes_the_document(api: Api) -> None:
    """OpenAPI 3.1, every schema in it included; nothing in it asks for a key that /openapi.json did not need."""
    validate(await document_of(api))


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[f"{one.method} {one.path}" for one in OPERATIONS])
@pytest.mark.promise("J49")
async def test_every_example_runs(api: Api, tmp_path: Path, number: int) -> None:
    """As a shell runs it: the answer has a documented status and type, and fits its schema."""
    document = await document_of(api)
    operation = document["paths"][OPERATIONS[number].path][OPERATIONS[number].method.lower()]
    job_id = await api.submit()
    if not OPERATIONS[number].path.endswith("/cancel"):
        await api.complete(job_id)
    tokens = (await api.http.post("/auth/token", json={"api_key": api.key})).json()
    shutil.copy(ROOT / "tests/data/demo/dialogue.mp3", tmp_path / "interview.mp3")
    environ = {
        "PATH": os.environ["PATH"],
        "API": api.url,
        "KEY": api.key,
        "TOKEN": tokens["access_token"],
        "REFRESH": tokens["refresh_token"],
        "JOB": job_id,
    }
    body = tmp_path / "body"
    told = ["-o", str(body), "-w", "%{http_code} %{content_type}"]
    curl = await asyncio.create_subprocess_shell(
        f"{operation['x-example']} {shlex.join(told)}", cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await curl.communicate()
    assert curl.returncode == 0
    status, _, media = said.decode().partition(" ")
    assert int(status) < 300
    check(document, operation, int(status), media, body.read_bytes() if body.exists() else b"")


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[f"{one.method} {one.path}" for one in OPERATIONS])
@pytest.mark.promise("J46", "J49")
async def test_every_refusal_is_a_documented_one(api: Api, number: int) -> None:
    """Without a key, with an unknown job, with an unfit body: status and shape are in the document."""
    document = await document_of(api)
    one = OPERATIONS[number]
    operation = document["paths"][one.path][one.method.lower()]
    path = one.path.replace("{job_id}", UNKNOWN)
    for headers in ({"Authorization": ""}, {}):
        answer = await api.http.request(one.method, path, headers=headers, params={"status": "done", "format": "pdf"})
        if answer.status_code >= 400:
            check(document, operation, answer.status_code, answer.headers["content-type"], answer.content)
            assert answer.json()["error"] in operation["responses"][str(answer.status_code)]["description"]
    assert one.open or (await api.http.request(one.method, path, headers={"Authorization": ""})).status_code == 401


@pytest.mark.promise("J49")
async def test_the_page_shows_every_example(api: Api) -> None:
    """/docs needs no key, and holds what the document holds."""
    page = (await api.http.get("/docs", headers={"Authorization": ""})).text
    for one in OPERATIONS:
        assert one.example
        assert f"{one.method} {one.path}" in page
