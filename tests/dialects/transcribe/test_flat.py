"""Addresses and methods that there are not: flat words below the dialect's prefixes, and one owner for all that there is."""

from __future__ import annotations

from collections import Counter

import httpx2
import pytest

from tests.dialects.describing import served
from tests.dialects.transcribe.asking import coded
from tests.dialects.transcribe.calling import PATH
from tests.servers.api import Api

OWNERS = {
    "/v1": "transcribe",
    "/.well-known": "transcribe",
    "/jobs": "jobs",
    "/auth": "jobs",
    "/files": "files",
    "/health": "",
    "/openapi": "",
    "/openapi.json": "",
    "/docs": "",
}
"""First segment of a path -> whose it is; "" is the server's own."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/v1", "/v1/xyz", "/v1/jobs/x/y/z", "/v1/audio/transcriptions", "/.well-known/x"])
@pytest.mark.promise("T42", "T33")
async def test_an_unknown_address_is_a_flat_404(lasting: Api, path: str) -> None:
    """With a key and without one."""
    for headers in ({}, {"Authorization": ""}):
        answer = await lasting.http.get(path, headers=headers)
        assert coded(answer) == (404, "not_found")
        assert "message" not in answer.json()
        assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", PATH, {"OPTIONS", "POST"}),
        ("GET", "/v1/add-funds", {"OPTIONS", "POST"}),
        ("GET", "/v1/jobs", {"OPTIONS", "POST"}),
        ("POST", "/.well-known/transcribeapi-webhook-keys.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
@pytest.mark.promise("T42")
async def test_a_wrong_method_is_a_flat_405(lasting: Api, method: str, path: str, allow: set[str]) -> None:
    answer = await lasting.http.request(method, path)
    assert coded(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allow


@pytest.mark.asyncio(loop_scope="module")
async def test_what_nobody_owns_is_told_in_the_words_of_the_first_dialect(lasting: Api) -> None:
    """A prefix ends with its segment."""
    for path in ("/v1x", "/v2/transcribe", "/jobsx", "/.well-knownx"):
        answer = await lasting.http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.asyncio(loop_scope="module")
async def test_every_method_of_every_path_has_one_owner(lasting: Api) -> None:
    """And stands below a prefix whose owner is known, documented or not."""
    names = [one["name"] for one in (await lasting.http.get("/openapi")).json()["documents"]]
    claimed: Counter[tuple[str, str]] = Counter()
    for name in names:
        document = (await lasting.http.get(f"/openapi/{name}.json")).json()
        for path, methods in document["paths"].items():
            assert OWNERS["/" + path.split("/")[1]] == name, path
            claimed.update((method, path) for method in methods)
    assert [one for one, times in claimed.items() if times > 1] == []
    assert names == ["jobs", "transcribe"]
    assert {"/" + path.split("/")[1] for _, path in served(lasting)} - {"/_admin"} == set(OWNERS)


@pytest.mark.asyncio(loop_scope="module")
async def test_pages_of_any_origin_may_ask(lasting: Api) -> None:
    """Without credentials: no cookie opens anything here."""
    asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    asked = await lasting.http.options(PATH, headers=asking)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    for answer in (asked, await lasting.http.post(PATH, headers={"Origin": "https://app.example"})):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert "set-cookie" not in answer.headers
    async with httpx2.AsyncClient(base_url=lasting.url, timeout=30, trust_env=False) as http:
        assert coded(await http.post(PATH, headers={"Cookie": f"session={lasting.key}"})) == (401, "missing_api_key")
