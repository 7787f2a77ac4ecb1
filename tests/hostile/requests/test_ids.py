"""Ids, limits, cursors and times that nobody gave out: unknown or refused, on both databases' behalf on the stricter one."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from tests.servers.api import Api, apis
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Note = Callable[[str], None]
KNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

IDS = {
    "-1": "-1",
    "1_000": "1_000",
    "an Arabic digit": "٣",
    "20 digits": "9" * 20,
    "..%2f": "..%2f",
    "a traversal": "..%2f..%2f_admin%2faccounts",
    "NUL": "%00",
    "NUL behind an id": f"{{prefix}}_{KNOWN}%00",
    "a line feed behind an id": f"{{prefix}}_{KNOWN}%0a",
    "a space before an id": f"%20{{prefix}}_{KNOWN}",
    "a small letter": f"{{prefix}}_{KNOWN.lower()}",
    "a ULID out of range": f"{{prefix}}_8{KNOWN[1:]}",
    "an id of another kind": f"evt_{KNOWN}",
    "a prefix alone": "{prefix}_",
    "no UTF-8": "%ff%fe",
    "a surrogate": "%ed%a0%80",
    "SQL": quote("x' OR '1'='1' --", safe=""),
    "a wildcard": "{prefix}_%25",
    "10,000 characters": "{prefix}_" + "0" * 10_000,
    "a template": quote("{{7*7}}", safe=""),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_api(
    tmp_path_factory: pytest.TempPathFactory,
    api_database: Path,
    postgres_server: PostgresServer,
    postgres_template: str,
) -> AsyncIterator[Api]:
    """Over PostgreSQL, which takes neither NUL in a text nor any time that SQLite would."""
    name = postgres_server.create(postgres_template)
    async with apis(tmp_path_factory.mktemp("strict"), api_database) as make:
        api = await make(environ={"TIRO_DATABASE_URL": postgres_server.url(name)})
        await api.submit()
        yield api
    postgres_server.drop(name)


def hostile(what: str, value: str, expected: str) -> Any:
    return pytest.param(value, marks=pytest.mark.hostile_input(40, what, expected), id=what)


async def _with_ids(api: Api) -> list[tuple[str, str]]:
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() if "{" in path for method in methods]


@pytest.mark.parametrize("text", [hostile(f"id: {what}", text, "404 not_found") for what, text in IDS.items()])
async def test_an_odd_id_is_an_unknown_job_on_every_route(strict_api: Api, seen: Note, text: str) -> None:
    routes = await _with_ids(strict_api)
    assert len(routes) >= 4
    for method, path in routes:
        answer = await strict_api.http.request(method, path.format(job_id=text.format(prefix="job")))
        seen(str(answer.status_code))
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), (method, path)


ADMIN_IDS = (
    ("GET", "/jobs/{id}", "job", None),
    ("DELETE", "/jobs/{id}", "job", None),
    ("POST", "/jobs/{id}/cancel", "job", None),
    ("POST", "/jobs/{id}/retry", "job", None),
    ("POST", "/jobs/{id}/pause", "job", None),
    ("POST", "/jobs/{id}/resume", "job", None),
    ("POST", "/jobs/{id}/reprioritize", "job", {"priority": 1}),
    ("POST", "/hooks/{id}/replay", "evt", None),
    ("DELETE", "/keys/{id}", "key", None),
    ("GET", "/accounts/{id}", "acct", None),
    ("PATCH", "/accounts/{id}", "acct", {"suspended": True}),
    ("GET", "/accounts/{id}/usage", "acct", None),
    ("GET", "/accounts/{id}/webhook-secret", "acct", None),
    ("POST", "/accounts/{id}/webhook-secret/next", "acct", None),
    ("POST", "/accounts/{id}/webhook-secret/activate", "acct", None),
)


@pytest.mark.parametrize(
    "text", [hostile(f"id, to the admin corner: {what}", text, "404, NUL 400") for what, text in IDS.items()]
)
async def test_an_odd_id_is_unknown_in_the_admin_corner_too(strict_api: Api, seen: Note, text: str) -> None:
    """Whatever the id is of."""
    told = set()
    async with strict_api.admin() as admin:
        for method, path, prefix, body in ADMIN_IDS:
            odd = path.replace("{id}", text.replace("{prefix}", prefix))
            answer = await admin.request(method, odd, json=body) if body else await admin.request(method, odd)
            told.add((answer.status_code, answer.json()["error"].removeprefix(f"{KINDS[prefix]}_")))
    seen(", ".join(f"{status} {code}" for status, code in told))
    assert told <= ({(400, "invalid_request"), (404, "not_found")} if "%00" in text else {(404, "not_found")})


KINDS = {"job": "job", "evt": "event", "key": "key", "acct": "account"}


def cursor(*parts: object) -> str:
    return urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


NOW = "2026-01-01T00:00:00Z"
QUERIES = {
    "limit": ("0", "201", "-1", "1e9", "", "٣", "1_0", " 5", "5 ", "0x5", "5.0", "9" * 400, "\0", "true"),
    "status": ("done", "", "Completed", "completed,failed", "completed\0", "x" * 9_000),
    "since": (
        "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1e400", "9" * 30, "", "NaN", "-1", "٣", "1.2.3",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", "2026-13-01T00:00:00Z",
        f"{NOW}\0", "." , "2026-01-01T00:00:00+99:00",
    ),
    "cursor": (
        "x", "", "\0", "W10", "é", "a" * 300, "=", "....", "-" * 8,
        cursor(NOW), cursor(NOW, "job_x"), cursor(NOW, 5), cursor(0, f"job_{KNOWN}"), cursor(NOW[:-1], f"job_{KNOWN}"),
        cursor(NOW, f"job_{KNOWN}", "more")[:-4], cursor(NOW, f"job_{KNOWN}\0"), cursor(NOW, f"acct_{KNOWN}"),
        cursor("0001-01-01T00:00:00+14:00", f"job_{KNOWN}"), cursor("9999-12-31T23:59:59-14:00", f"job_{KNOWN}"),
    ),
    "accept_overage": ("", "maybe", "2", "true\0", "ja"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(
            name,
            value,
            marks=pytest.mark.hostile_input(40, f"{name}={value[:40]!r}", "400 invalid_request with param"),
            id=f"{name}-{number}",
        )
        for name, values in QUERIES.items()
        for number, value in enumerate(values)
    ],
)
@pytest.mark.promise("J4")
async def test_an_odd_query_is_a_400_that_names_it(strict_api: Api, seen: Note, name: str, value: str) -> None:
    method = "POST" if name == "accept_overage" else "GET"
    answer = await strict_api.http.request(method, "/jobs", params={name: value})
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (400, "invalid_request", name)


ADMIN_QUERIES = (
    *(("jobs", "limit", text) for text in ("0", "1001", "-1", "1e9", "", "x", "9" * 400)),
    *(("jobs", "cursor", text + "=" * (-len(text) % 4)) for text in QUERIES["cursor"] if text),
    *(("jobs", "since", text) for text in ("soon", "", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00")),
    *(("jobs", "status", text) for text in QUERIES["status"]),
    ("jobs", "account", "\0"),
    ("keys", "account", "\0"),
    *(("accounts/{account}/usage", "month", text) for text in ("\0", "x", "", "2026-13", "2026-1", "9" * 300)),
)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        pytest.param(
            path,
            name,
            value,
            marks=pytest.mark.hostile_input(40, f"{name}={value[:40]!r}, to the admin corner", "400 invalid_request"),
            id=f"{path}-{name}-{number}",
        )
        for number, (path, name, value) in enumerate(ADMIN_QUERIES)
    ],
)
async def test_an_odd_query_of_an_operator_is_a_400(
    strict_api: Api, seen: Note, path: str, name: str, value: str
) -> None:
    async with strict_api.admin() as admin:
        where = path.format(account=strict_api.account.account_id)
        answer = await admin.get(f"/{where}", params={name: value})
    seen(f"{answer.status_code} {answer.json().get('error')}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.hostile_input(40, "a cursor of another account", "one's own jobs only")
async def test_a_cursor_of_another_account_shows_only_ones_own(strict_api: Api, seen: Note) -> None:
    """It is a place in time, and no key to anything."""
    _, key = await strict_api.account_with_key()
    mine = (await strict_api.http.post("/jobs", json=ADDRESS, headers=strict_api.bearer(key))).json()["job_id"]
    for _ in range(2):
        await strict_api.submit()
    foreign = (await strict_api.http.get("/jobs?limit=1")).json()["next_cursor"]
    page = await strict_api.http.get(f"/jobs?cursor={foreign}", headers=strict_api.bearer(key))
    seen(f"{page.status_code}, {len(page.json()['jobs'])} of one's own")
    assert [job["job_id"] for job in page.json()["jobs"]] == [mine]


ADDRESS = {"source_url": "https://93.184.215.14/a"}
