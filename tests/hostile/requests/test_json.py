"""JSON as a stranger writes it, to every route that takes any: refused in the dialect's words, or taken as it says."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.hostile.requests.bodies import DEEP, NO_JSON
from tests.servers.api import Api
from tiro.model.ids import is_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

Note = Callable[[str], None]
ADDRESS = "https://93.184.215.14/a"
ROOM = 256 << 10


def hostile(number: int, what: str, value: object, expected: str) -> Any:
    return pytest.param(value, marks=pytest.mark.hostile_input(number, what, expected), id=what)


async def _takes_json(api: Api) -> list[tuple[str, str]]:
    """Method and path of every route whose document says so, and of the admin corner's."""
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, said in methods.items()
        if "application/json" in said.get("requestBody", {}).get("content", {})
    ]


async def _send(api: Api, path: str, body: bytes, **headers: str) -> httpx2.Response:
    sent = {"Content-Type": "application/json", **headers}
    return await api.http.post(path, content=body, headers=sent)


async def _jobs(api: Api) -> int:
    async with api.house.records.begin() as tx:
        return len(await tx.jobs.page(api.account.account_id, limit=1000))


@pytest.mark.parametrize(
    "body",
    [
        *(hostile(33, what, body, "400 invalid_json") for what, body in DEEP.items()),
        *(hostile(34, what, body, "400 invalid_json") for what, body in NO_JSON.items()),
    ],
)
async def test_what_is_no_json_object_is_a_400_at_every_route(lasting_api: Api, seen: Note, body: bytes) -> None:
    """Never a 5xx; each with its id; and no job comes of it."""
    before = await _jobs(lasting_api)
    routes = await _takes_json(lasting_api)
    assert len(routes) >= 3
    told = set()
    for method, path in routes:
        assert method == "POST"
        answer = await _send(lasting_api, path, body)
        told.add((answer.status_code, answer.json()["error"]))
        assert is_id("req", answer.headers["x-request-id"])
    async with lasting_api.admin() as admin:
        answer = await admin.post("/accounts", content=body, headers={"Content-Type": "application/json"})
    told.add((answer.status_code, answer.json()["error"]))
    seen(", ".join(f"{status} {code}" for status, code in told))
    assert told == {(400, "invalid_json")}
    assert await _jobs(lasting_api) == before


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param(name, body, marks=pytest.mark.hostile_input(34, f"a {name} body", "415"), id=name)
        for name, body in {
            "gzip": gzip.compress(b"{}"),
            "deflate": zlib.compress(b"{}"),
            "br": b"\x0b\x00\x80{}\x03",
            "identity, gzip": gzip.compress(b"{}"),
        }.items()
    ],
)
async def test_an_encoded_body_is_a_415(lasting_api: Api, seen: Note, encoding: str, body: bytes) -> None:
    """Nothing is unpacked, as JSON or as a form."""
    for path, kind in (("/jobs", "application/json"), ("/auth/token", "application/json"), ("/jobs", "multipart/x")):
        answer = await _send(lasting_api, path, body, **{"Content-Encoding": encoding, "Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    seen("415 unsupported_media_type")


@pytest.mark.hostile_input(34, "more than 256 KiB", "413 request_too_large")
async def test_a_large_body_is_a_413(lasting_api: Api, seen: Note) -> None:
    """A byte less is read."""
    empty = b'{"unknown":""}'
    exactly = empty[:-2] + b"x" * (ROOM - len(empty)) + empty[-2:]
    answers = [await _send(lasting_api, "/jobs", body) for body in (exactly, exactly + b" ")]
    seen(f"{answers[1].status_code} {answers[1].json()['error']}")
    assert [answer.json()["error"] for answer in answers] == ["invalid_request", "request_too_large"]
    assert [answer.status_code for answer in answers] == [400, 413]


@pytest.mark.hostile_input(34, "a field that comes twice", "the last one holds")
async def test_of_a_field_that_comes_twice_the_last_one_holds(lasting_api: Api, seen: Note) -> None:
    bodies = [b'{"language":%b,"language":%b,"source_url":"https://93.184.215.14/a"}' % pair for pair in TWICE]
    answers = [await _send(lasting_api, "/jobs", body) for body in bodies]
    job = await lasting_api.house.jobs.get(answers[0].json()["job_id"])
    seen(str(job.options.language))
    assert [answer.status_code for answer in answers] == [202, 400]
    assert job.options.language == "de"


TWICE = ((b'"xx"', b'"de"'), (b'"de"', b'"xx"'))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(
            field,
            value,
            marks=pytest.mark.hostile_input(34, f"{value!r} for {field}", "400 invalid_request with param"),
        )
        for field, values in {
            "source_url": (7, True, [ADDRESS], {"href": ADDRESS}),
            "diarize": (0, 1, 1.0, "true", "yes", [], {}),
            "language": (1, True, ["en"], {}),
            "webhook_url": (0, False, [ADDRESS]),
        }.items()
        for value in values
    ],
)
async def test_a_value_of_another_type_is_named(lasting_api: Api, seen: Note, field: str, value: object) -> None:
    """An integer is no boolean, a boolean no integer, and nothing is made to fit."""
    answer = await lasting_api.http.post("/jobs", json={"source_url": ADDRESS, field: value})
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (400, "invalid_request", field)


@pytest.mark.parametrize("value", [True, 1.5, "3", 0, 6, -1, 10**30])
@pytest.mark.hostile_input(34, "what is no integer from 1 to 5, to the admin corner", "400 invalid_request")
async def test_a_priority_is_an_integer(lasting_api: Api, seen: Note, value: object) -> None:
    job_id = await lasting_api.submit()
    async with lasting_api.admin() as admin:
        answer = await admin.post(f"/jobs/{job_id}/reprioritize", json={"priority": value})
    seen(f"{value!r}: {answer.status_code}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


LANGUAGES = {
    "xx": "xx",
    "capitals": "EN",
    "nothing": "",
    "a region": "en-US",
    "500 characters": "e" * 500,
    "60,000 characters": "en" * 30_000,
    "a space before": " en",
    "a line feed behind": "en\n",
    "AUTO": "AUTO",
    "letters that look alike": "\u0435n",
    "a name": "english",
    "a path": "../en",
    "a switch": "--task=translate",
}


@pytest.mark.parametrize(
    "language", [hostile(36, f"language: {what}", text, "400 invalid_language") for what, text in LANGUAGES.items()]
)
async def test_a_language_is_one_of_the_documented_codes(lasting_api: Api, seen: Note, language: str) -> None:
    """In JSON and in a form."""
    before = await _jobs(lasting_api)
    fields = {"source_url": ADDRESS, "language": language}
    form = {name: (None, text.encode()) for name, text in fields.items()}
    for answer in (await lasting_api.http.post("/jobs", json=fields), await lasting_api.http.post("/jobs", files=form)):
        assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (
            400,
            "invalid_language",
            "language",
        )
    seen("400 invalid_language, both ways")
    assert await _jobs(lasting_api) == before


@pytest.mark.parametrize(
    "text", [hostile(37, f"format={text[:20]!r}", text, "400 invalid_format") for text in ("pdf", "", "JSON", "srt\0")]
)
async def test_a_format_is_one_of_the_five(lasting_api: Api, seen: Note, text: str) -> None:
    job_id = await lasting_api.submit()
    await lasting_api.complete(job_id)
    answer = await lasting_api.http.get(f"/jobs/{job_id}/transcript", params={"format": text})
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (400, "invalid_format", "format")
