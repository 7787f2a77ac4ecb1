"""The OpenAPI document: a foreign validator takes it, its examples run, and what comes back is what it says."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from api.config import RequestLimits
from api.dialects.transcribe.openapi import OPERATIONS
from tests.dialects.describing import check, document_of, served
from tests.dialects.transcribe.asking import created
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api, ApiMaker

ROOT = Path(__file__).parents[3]
UNKNOWN = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"
DOCUMENT = "/openapi/transcribe.json"
NAMED = [f"{one.method} {one.path}" for one in OPERATIONS]
BATCH = {"type": "batch", "files": [{"reference_id": "episode_1"}]}
BIG = {"type": "big_file", "size_bytes": 1000, "content_type": "audio/mpeg"}


async def _job_for(api: Api, path: str) -> tuple[str, str]:
    """A job in a state in which this can be asked of it, and where its upload goes."""
    told = await created(api, BATCH if path.endswith("/upload-urls") else BIG)
    if path.endswith("/result"):
        address = {"type": "big_file", "source": {"type": "url", "url": "https://93.184.215.14/a.mp3"}}
        told = await created(api, address)
        await api.complete(told["job_id"])
    return told["job_id"], told["uploads"][0]["upload"]["key"] if told["uploads"] else ""


@pytest.mark.asyncio(loop_scope="module")
async def test_a_foreign_validator_takes_the_document(lasting: Api) -> None:
    """OpenAPI 3.1, every schema in it included; the index names it, and JOB's is where it was."""
    validate(await document_of(lasting, DOCUMENT))
    index = await document_of(lasting, "/openapi")
    assert [one["url"].rpartition("/openapi/")[2] for one in index["documents"]] == ["jobs.json", "transcribe.json"]
    assert await document_of(lasting, "/openapi/jobs.json") == await document_of(lasting)


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=NAMED)
async def test_every_example_runs(make_api: ApiMaker, tmp_path: Path, number: int) -> None:
    """As a shell runs it: the answer has a documented status and type, and fits its schema."""
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.1)))
    await api.house.accounts.change(api.account.account_id, self_topup=True)
    document = await document_of(api, DOCUMENT)
    operation = document["paths"][OPERATIONS[number].path][OPERATIONS[number].method.lower()]
    job_id, upload = await _job_for(api, OPERATIONS[number].path)
    shutil.copy(ROOT / "tests/data/demo/dialogue.mp3", tmp_path / "interview.mp3")
    environ = {"PATH": os.environ["PATH"], "API": api.url, "KEY": api.key, "JOB": job_id, "UPLOAD": upload}
    body = tmp_path / "body"
    told = ["-o", str(body), "-w", "%{http_code} %{content_type}"]
    curl = await asyncio.create_subprocess_shell(
        f"{operation['x-example']} {shlex.join(told)}", cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await curl.communicate()
    assert curl.returncode == 0
    status, _, media = said.decode().partition(" ")
    content = body.read_bytes() if body.exists() else b""
    assert int(status) < 400, content
    check(document, operation, int(status), media, content)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=NAMED)
async def test_every_refusal_is_a_documented_one(lasting: Api, number: int) -> None:
    """Without a key, with an unknown job, with an unfit body: status and shape are in the document."""
    document = await document_of(lasting, DOCUMENT)
    one = OPERATIONS[number]
    operation = document["paths"][one.path][one.method.lower()]
    path = one.path.replace("{job_id}", UNKNOWN)
    bodies: list[dict[str, Any]] = [{}, {"json": {"type": "x"}}, {"content": b"{", "headers": {"Content-Type": "x"}}]
    headers: list[dict[str, str]] = [{}, {"Authorization": "Bearer x"}]
    for body in bodies:
        for credential in headers:
            sent = {**body, "headers": {**body.get("headers", {}), **credential}}
            answer = await lasting.http.request(one.method, path, **sent)
            if answer.status_code >= 400:
                check(document, operation, answer.status_code, answer.headers["content-type"], answer.content)
                assert answer.json()["code"] in operation["responses"][str(answer.status_code)]["description"]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_route_of_the_dialect_is_in_its_document(lasting: Api) -> None:
    """And nothing else is; the page shows an example of each."""
    ours = {one for one in served(lasting) if one[1].startswith(("/v1/", "/.well-known/"))}
    assert ours == {(one.method, one.path) for one in OPERATIONS}
    page = (await lasting.http.get("/docs/transcribe", headers={"Authorization": ""})).text
    for one in OPERATIONS:
        assert one.example
        assert f"{one.method} {one.path}" in page
    assert "<script" not in page
