"""Other accounts' things, on every route and method there is: found, not listed, so that a new one is covered by being there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable

import httpx2
import msgspec
import pytest

from tests.dialects.describing import served
from tests.dialects.transcribe.calling import funded
from tests.servers.api import ADMIN, Api
from tiro.model.job import Job

Note = Callable[[str], None]
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PUBLIC = {
    ("GET", "/health"),
    *(("GET", f"/openapi{name}") for name in ("", ".json", "/jobs.json", "/transcribe.json")),
    *(("GET", f"/docs{name}") for name in ("", "/jobs", "/transcribe")),
    ("GET", "/.well-known/transcribeapi-webhook-keys.json"),
    ("POST", "/auth/token"),
    ("POST", "/auth/refresh"),
}
"""What answers without a key: by decision, one by one. OPTIONS asks for none either; the two of /auth ask in the body."""
REFUSED = {"_admin": 404, "files": 403}
"""First segment -> what is said without the right key, where that is no 401: the operator's corner is not there; a link is its own key."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


async def _queued(api: Api) -> str:
    return await api.submit()


async def _processing(api: Api) -> str:
    job_id = await api.submit()
    await api.run_until(job_id)
    return job_id


async def _completed(api: Api) -> str:
    job_id = await api.submit(webhook_url="https://93.184.215.14/hook")
    await api.complete(job_id)
    return job_id


async def _failed(api: Api) -> str:
    job_id = await api.submit()
    await api.fail(job_id, "transient_error")
    return job_id


async def _cancelled(api: Api) -> str:
    job_id = await api.submit()
    assert (await api.http.post(f"/jobs/{job_id}/cancel")).status_code == 200
    return job_id


async def _awaiting(api: Api) -> str:
    answer = await (await funded(api)).http.post("/v1/jobs", json={"type": "big_file", "size_bytes": 1000})
    return str(answer.json()["job_id"])


async def _to_fetch(api: Api) -> str:
    source = {"type": "url", "url": "https://93.184.215.14/a.mp3"}
    answer = await (await funded(api)).http.post("/v1/jobs", json={"type": "big_file", "source": source})
    return str(answer.json()["job_id"])


async def _heard(api: Api) -> str:
    job_id = await _to_fetch(api)
    await api.complete(job_id)
    return job_id


async def _unheard(api: Api) -> str:
    job_id = await _to_fetch(api)
    await api.fail(job_id, "source_unavailable", "http_status")
    return job_id


Maker = Callable[[Api], Awaitable[str]]
THINGS: dict[tuple[str, str], tuple[str, tuple[Maker, ...]]] = {
    ("jobs", "job_id"): (f"job_{ULID}", (_queued, _processing, _completed, _failed, _cancelled)),
    ("transcribe", "job_id"): (f"job_{ULID}", (_awaiting, _to_fetch, _heard, _unheard)),
}
"""By dialect and the name of a path's parameter: an id that never was, and how an owner comes by a thing in each of its states."""


async def _documented(api: Api) -> list[tuple[str, str, str]]:
    """Dialect, method and path of all that any document says."""
    index = (await api.http.get("/openapi")).json()["documents"]
    documents = {one["name"]: (await api.http.get(f"/openapi/{one['name']}.json")).json() for one in index}
    return [
        (dialect, method.upper(), path)
        for dialect, document in documents.items()
        for path, methods in document["paths"].items()
        for method in methods
    ]


def _places(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _told(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer tells, but for its own id and the time."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
    return answer.status_code, answer.content, headers


async def test_the_owner_of_a_thing_finds_it_on_every_route(api: Api) -> None:
    """Else the test below would compare nothing with nothing."""
    for dialect, method, path in await _documented(api):
        for name in _places(path):
            assert (dialect, name) in THINGS, f"{path}: say in THINGS how an account comes by a {name}"
            for make in THINGS[dialect, name][1]:
                answer = await api.http.request(method, path.format(**{name: await make(api)}))
                assert answer.status_code != 404, (method, path, make)


async def _job(api: Api, thing: str) -> Job | None:
    """As it will be when the relay has seen it, which it may do at any moment."""
    job = await api.house.jobs.get(thing)
    return None if job is None else msgspec.structs.replace(job, admitted=True)


@pytest.mark.hostile_input(
    53, "another account's id on every route and method of the document", "404, as for an unknown id"
)
async def test_another_accounts_thing_is_an_unknown_thing(api: Api, seen: Note) -> None:
    """Status, body and headers are the same, with a key and with a token; and nothing happened to it."""
    _, stranger = await api.account_with_key()
    token = (await api.http.post("/auth/token", json={"api_key": stranger})).json()["access_token"]
    tried = 0
    for (dialect, method, path), credential in itertools.product(await _documented(api), (stranger, token)):
        if dialect != "jobs" and credential == token:
            continue  # it opens nothing there
        for name in _places(path):
            never, makers = THINGS[dialect, name]
            for make in makers:
                thing = await make(api)
                before = await _job(api, thing)
                theirs, unknown = [
                    _told(await api.http.request(method, path.format(**{name: one}), headers=api.bearer(credential)))
                    for one in (thing, never)
                ]
                assert theirs == unknown, (method, path, make)
                assert theirs[0] == 404
                assert await _job(api, thing) == before
                tried += 1
    seen(f"404, {tried} times the same as unknown")
    assert tried >= 60
    assert (await api.http.get("/jobs", headers=api.bearer(stranger))).json()["jobs"] == []


@pytest.mark.hostile_input(53, "another account's id beside one's own: in the query, in JSON, in a form", "ignored")
async def test_an_account_is_whom_the_key_says_and_nobody_else(api: Api, seen: Note) -> None:
    """No field, no parameter and no header makes a request another's."""
    await api.submit()
    other, key = await api.account_with_key()
    said = dict.fromkeys(("account", "account_id", "owner", "tenant_id"), api.account.account_id)
    headers = {**api.bearer(key), **{f"X-{name.title()}": text for name, text in said.items()}}
    address = {"source_url": "https://93.184.215.14/a"}
    by_json = await api.http.post("/jobs", params=said, json={**address, **said}, headers=headers)
    by_form = await api.http.post(
        "/jobs", params=said, files={name: (None, text) for name, text in {**address, **said}.items()}, headers=headers
    )
    page = await api.http.get("/jobs", params=said, headers=headers)
    made = [answer.json()["job_id"] for answer in (by_json, by_form)]
    seen("202, its own")
    assert {(await api.house.jobs.get(job_id)).account_id for job_id in made} == {other.account_id}
    assert [job["job_id"] for job in page.json()["jobs"]] == made[::-1]


@pytest.mark.hostile_input(
    53, "every route without a key, with an unknown one, with another's kind of key", "401 or 404"
)
async def test_every_route_asks_for_a_key_but_the_few_that_are_public(api: Api, seen: Note) -> None:
    """Found in the server itself; whatever else is wrong with the request, the missing key is said first."""
    there = served(api)
    assert there >= PUBLIC
    asked = there - PUBLIC
    assert len(asked) >= 25
    for method, path in sorted(asked):
        wrong = api.key if path.startswith("/_admin") else ADMIN
        address = re.sub(r"\{\w+\}", f"job_{ULID}", path)
        for headers in ({}, api.bearer("tsk_live_unknown"), api.bearer(wrong), api.bearer("a.b.c")):
            async with httpx2.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http:
                answer = await http.request(method, f"{address}?limit=x&format=x", headers=headers)
            assert answer.status_code == REFUSED.get(path.split("/")[1], 401), (method, path, headers)
    seen(f"401 on {len(asked)} routes, 404 where they are the operator's, 403 for links; {len(PUBLIC)} are public")


@pytest.mark.hostile_input(53, "methods that a route does not have", "405 or 404, never carried out")
async def test_what_is_no_route_is_no_way_in(api: Api, seen: Note) -> None:
    """Each path with each other method, with the right key and headers that would change the method."""
    there = served(api)
    paths = {path for _, path in there}
    override = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE", "X-Original-URL": "/_admin/jobs"}
    tried = 0
    for method, path in itertools.product(METHODS, sorted(paths)):
        if (method, path) in there or (method == "HEAD" and ("GET", path) in there):
            continue
        answer = await api.http.request(method, re.sub(r"\{\w+\}", f"job_{ULID}", path), headers=override)
        assert answer.status_code in {404, 405}, (method, path)
        tried += 1
    job_id = await api.submit()
    shown = await api.http.get(f"/jobs/{job_id}?_method=DELETE", headers=override)
    seen(f"405 on {tried}")
    assert (shown.status_code, shown.json()["status"]) == (200, "queued")


@pytest.mark.hostile_input(53, "the admin corner over a proxy that forwards strangers", "404 without its token")
async def test_no_header_is_a_way_into_the_admin_corner(api: Api, seen: Note) -> None:
    """Nobody's word for where a request comes from stands for the token."""
    words = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Admin": "true", "Host": "localhost"}
    answer = await api.http.get("/_admin/accounts", headers=words)
    seen(str(answer.status_code))
    assert answer.status_code == 404
