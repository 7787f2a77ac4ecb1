"""HTTP itself as the attacker: what is sent is refused in the dialect's words or means what it says, and nothing of it is believed."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest

from tests.servers.api import Api
from tiro.model.ids import is_id

Note = Callable[[str], None]
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /auth/token HTTP/1.1\r\nHost: x\r\n"
LAST = b"Connection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
JSON = b"Content-Type: application/json\r\n"


def hostile(what: str, data: bytes, status: int = 400) -> object:
    mark = pytest.mark.hostile_input(58, what, str(status))
    return pytest.param(data, status, marks=mark, id=what)


def answers(came: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of each answer on the connection."""
    found = []
    while came:
        head, _, rest = came.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", len(rest)))
        found.append((int(first.split()[1]), headers, rest[:size]))
        came = rest[size:]
    return found


@pytest.mark.parametrize(
    ("data", "status"),
    [
        hostile("one header of 100 kB", GET + b"X: " + b"x" * 100_000 + b"\r\n" + LAST),
        hostile("100 kB in 5,000 headers", GET + b"".join(b"X-%d: 0123456789\r\n" % n for n in range(5_000)) + LAST),
        hostile("100 kB that never end", GET + b"X: " + b"x" * 100_000),
        hostile("20,000 query parameters", b"GET /jobs?" + b"&a=1" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n" + LAST),
        hostile("20,000 short parameters", b"GET /jobs?" + b"a&" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n" + LAST),
        hostile("TRACE", b"TRACE /jobs HTTP/1.1\r\nHost: x\r\n" + LAST, 405),
        hostile("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n" + LAST, 404),
        hostile("a method nobody knows", b"SUMMON /jobs HTTP/1.1\r\nHost: x\r\n" + LAST, 405),
        hostile("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + LAST, 404),
        hostile("an address of another host", b"GET http://evil.example/jobs HTTP/1.1\r\nHost: x\r\n" + LAST, 404),
        hostile("Content-Length and chunked", POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + GET + LAST),
        hostile("chunked in HTTP/1.0", b"POST /auth/token HTTP/1.0\r\n" + JSON + CHUNKED + b"\r\n0\r\n\r\n"),
        hostile("two lengths", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        hostile("a negative length", POST + b"Content-Length: -2\r\n\r\n{}"),
        hostile("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        hostile("chunked twice", POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
        hostile("a chunk that is none", POST + JSON + CHUNKED + b"\r\nnonsense\r\n"),
        hostile("a space before the colon", GET + b"X : y\r\n" + LAST),
        hostile("NUL in a header", GET + b"X: a\0b\r\n" + LAST),
        hostile("no Host", b"GET /health HTTP/1.1\r\n" + LAST),
        hostile("two Hosts", GET + b"Host: evil.example\r\n" + LAST),
        hostile("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        hostile("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        hostile("HTTP/9.9", b"GET /health HTTP/9.9\r\nHost: x\r\n" + LAST),
    ],
)  # fmt: skip
async def test_it_is_refused_in_the_words_of_the_dialect(api: Api, seen: Note, data: bytes, status: int) -> None:
    """One answer, with its id, then the connection ends: nothing behind it is taken for another request."""
    ((was, headers, body),) = answers(await api.raw(data))
    seen(str(was))
    assert was == status
    assert is_id("req", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["connection"] == "close"
    assert "server" not in headers
    assert set(msgspec.json.decode(body)) == {"error", "message"}


@pytest.mark.hostile_input(58, "OPTIONS of an evil origin", "204, any origin, never credentials")
async def test_a_preflight_gives_no_credentials_away(api: Api, seen: Note) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE", "Authorization": ""}
    answer = await api.http.options("/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", headers=asks)
    seen(f"{answer.status_code}, {answer.headers['access-control-allow-origin']}")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.hostile_input(58, f"{name}: evil.example", "links are the public address's")
        )
        for name in ("Host", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Proto", "X-Original-URL", "X-Request-Id")
    ],
)
async def test_no_header_moves_a_link(api: Api, seen: Note, name: str) -> None:
    """Neither in the document, nor in an error, nor in the event of a job that was sent in with it."""
    sent = {name: "host=evil.example" if name == "Forwarded" else "evil.example"}
    document = await api.http.get("/openapi.json", headers=sent)
    missing = await api.http.get("/nothing", headers=sent)
    form = {"source_url": "https://93.184.215.14/a.mp3", "webhook_url": "https://93.184.215.14/hook"}
    job = await api.http.post("/jobs", json=form, headers=sent)
    await api.complete(job.json()["job_id"])
    (events,) = (await api.house.jobs.events([await api.house.jobs.get(job.json()["job_id"])])).values()
    body = api.house.blobs.get(events[0].body.key)
    seen(str(msgspec.json.decode(body)["transcript_url"]).partition("/jobs")[0])
    assert document.json()["servers"] == [{"url": "https://tiro.example"}]
    assert msgspec.json.decode(body)["transcript_url"].startswith("https://tiro.example/jobs/")
    for answer in (document, missing, job):
        assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.hostile_input(58, "X-Forwarded-For, a new one each time", "429 as without")
async def test_a_forwarded_address_is_nobody_elses_share(api: Api, seen: Note) -> None:
    """30 exchanges of a minute belong to the peer, whatever it calls itself."""
    statuses = []
    for n in range(31):
        sent = {"X-Forwarded-For": f"203.0.113.{n}", "Forwarded": f"for=203.0.113.{n}", "X-Real-IP": f"203.0.113.{n}"}
        answer = await api.http.post("/auth/token", json={"api_key": f"tsk_live_{n}"}, headers=sent)
        statuses.append(answer.status_code)
    seen(f"{statuses[-1]} after {len(statuses) - 1}")
    assert statuses == [401] * 30 + [429]


@pytest.mark.hostile_input(58, "HTTP/1.0", "200, then closed")
async def test_http_1_0_is_spoken(api: Api, seen: Note) -> None:
    """Without a Host, with a body of known length."""
    ((status, headers, body),) = answers(await api.raw(b"GET /health HTTP/1.0\r\n\r\n"))
    seen(f"{status}, {headers['connection']}")
    assert (status, headers["connection"], body) == (200, "close", b'{"status":"ok"}')


@pytest.mark.hostile_input(58, "pipelining", "each its own answer, in order, under its own id")
async def test_pipelined_requests_are_answered_in_order(api: Api, seen: Note) -> None:
    post = POST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    missing = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    came = answers(await api.raw(GET + b"\r\n" + post + missing + b"HEAD /health HTTP/1.1\r\nHost: x\r\n" + LAST))
    seen(", ".join(str(status) for status, *_ in came))
    assert [status for status, *_ in came] == [200, 400, 404, 200]
    assert len({headers["x-request-id"] for _, headers, _ in came}) == 4


@pytest.mark.hostile_input(58, "garbage behind a good request", "200, then 400, each with an id")
async def test_garbage_behind_a_request_spoils_only_itself(api: Api, seen: Note) -> None:
    came = answers(await api.raw(GET + b"\r\n" + b"\x00nonsense\r\n\r\n"))
    seen(", ".join(str(status) for status, *_ in came))
    assert [status for status, *_ in came] == [200, 400]
    assert len({headers["x-request-id"] for _, headers, _ in came}) == 2


@pytest.mark.hostile_input(58, "a broken chunk after the answer", "the answer alone, no error of ours")
async def test_a_body_that_breaks_after_its_answer_breaks_nothing(
    api: Api, seen: Note, caplog: pytest.LogCaptureFixture
) -> None:
    """The 404 is out before the body is read; what is wrong with the rest is nobody's business."""
    post = b"POST /nothing HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n5\r\nabcde\r\n"
    came = await api.raw(post, b"nonsense\r\n", 0.3)
    seen(", ".join(str(status) for status, *_ in answers(came)))
    assert [status for status, *_ in answers(came)] == [404]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert re.match(rb"HTTP/1.1 404 ", came)
