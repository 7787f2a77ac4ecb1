"""Requests that never come to their end: each is ended by the server, and answered where an answer can still be given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from api.config import RequestLimits
from api.server import PatientProtocol
from tests.hostile.requests.bodies import FORM, HEAD
from tests.hostile.requests.sending import dripped, request_head, status_of
from tests.hostile.requests.tree import connections
from tests.servers.api import Api, ApiMaker, transcript
from tiro.model.transcript import Segment, Word

Note = Callable[[str], None]
JSON = "application/json"
SOON_S = 0.5
"""What is half a minute in earnest."""


@pytest.fixture
async def impatient(make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch) -> Api:
    """All that it waits for, it waits for a moment."""
    monkeypatch.setattr(PatientProtocol, "within_s", SOON_S)
    return await make_api(plan="free", limits=RequestLimits(window_s=SOON_S, window_bytes=1000))


@pytest.mark.parametrize(
    ("path", "content_type", "begin"),
    [
        pytest.param("/jobs", FORM, HEAD, id="form"),
        pytest.param("/jobs", JSON, b'{"source_url":"', id="json"),
        pytest.param("/auth/token", JSON, b'{"api_key":"', id="token"),
    ],
)
@pytest.mark.parametrize("length", [20_000, None], ids=["length", "chunked"])
@pytest.mark.hostile_input(29, "a body of a few bytes at a time", "408, then closed")
async def test_a_slow_body_is_ended(
    impatient: Api, seen: Note, path: str, content_type: str, begin: bytes, length: int | None
) -> None:
    """The connection too, although bytes go on coming. Nothing of it is kept."""
    first, drip = (begin, b"x") if length else (_chunk(begin), _chunk(b"x"))
    head = request_head(impatient.key, path, length=length, content_type=content_type)
    answer = await dripped(impatient.port, head + first, drip, within_s=10)
    seen(f"{status_of(answer)}, closed")
    assert status_of(answer) == 408
    assert b'"error":"request_timeout"' in answer
    assert b"connection: close" in answer.lower()
    assert await _left(impatient) == []


@pytest.mark.hostile_input(29, "a long file of a few bytes at a time", "408, then closed")
async def test_a_slow_file_is_ended_however_long_it_says_it_is(impatient: Api, seen: Note) -> None:
    """It is read past the parser, and not past the clock."""
    head = request_head(impatient.key, length=4 << 20)
    answer = await dripped(impatient.port, head + HEAD, b"x", within_s=10)
    seen(f"{status_of(answer)}, closed")
    assert status_of(answer) == 408
    assert await _left(impatient) == []


@pytest.mark.hostile_input(29, "a body that never begins", "408, then closed")
async def test_a_body_that_never_comes_is_ended(impatient: Api, seen: Note) -> None:
    answer = await dripped(impatient.port, request_head(impatient.key, length=5, content_type=JSON), b"", within_s=10)
    seen(f"{status_of(answer)}, closed")
    assert status_of(answer) == 408


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        pytest.param(b"GET /health HTTP/1.1\r\nX: ", b"x", id="in a header"),
        pytest.param(b"GET /health HTTP/1.1\r\n", b"X: y\r\n", id="header after header"),
        pytest.param(b"G", b"E", id="in the method"),
    ],
)
@pytest.mark.hostile_input(29, "headers that come slowly, or never", "closed")
async def test_slow_headers_are_ended(impatient: Api, seen: Note, first: bytes, drip: bytes) -> None:
    """By the clock, however busily bytes come; also on a connection that was used before."""
    used = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await dripped(impatient.port, first, drip, within_s=10) == b""
    again = await dripped(impatient.port, used + first, drip, within_s=30)
    seen("closed")
    assert (status_of(again), again.count(b"HTTP/1.1 ")) == (200, 1)


@pytest.mark.hostile_input(29, "a connection without a request", "closed")
async def test_silence_is_ended(impatient: Api, seen: Note) -> None:
    assert await dripped(impatient.port, b"", b"", within_s=10) == b""
    seen("closed")


@pytest.mark.parametrize(
    ("path", "begin", "chunk", "status", "code"),
    [
        pytest.param("/jobs", b"{", b" " * 60_000, 413, b"request_too_large", id="json"),
        pytest.param("/auth/token", b"{", b" " * 60_000, 413, b"request_too_large", id="token"),
        pytest.param("/jobs", HEAD, bytes(4 << 20), 413, b"file_too_large", id="form"),
        pytest.param("/nothing", b"{", bytes(1 << 20), 404, b"not_found", id="nobody"),
    ],
)
@pytest.mark.hostile_input(29, "chunks without end", "413 (404 where nobody reads), then closed")
async def test_a_body_without_end_is_ended(
    impatient: Api, seen: Note, path: str, begin: bytes, chunk: bytes, status: int, code: bytes
) -> None:
    """Counted while it comes; after the answer the rest is listened to for a moment only."""
    head = request_head(impatient.key, path, content_type=FORM if begin == HEAD else JSON)
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port)
    writer.write(head + _chunk(begin))
    flood = asyncio.create_task(_flood(writer, _chunk(chunk)))
    async with asyncio.timeout(30):
        answer = await reader.read(4096)
        await asyncio.wait([flood])
    writer.close()
    seen(f"{status_of(answer)}, closed")
    assert (status_of(answer), code in answer) == (status, True)
    assert isinstance(flood.exception(), ConnectionError)
    assert await _left(impatient) == []


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _flood(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """Until the other side has had enough."""
    while True:
        writer.write(chunk)
        await writer.drain()


async def _left(api: Api) -> list[str]:
    return [info.key for info in api.house.blobs.list("jobs/")]


@pytest.mark.hostile_input(29, "Content-Length and chunked, a second request inside", "400, once")
async def test_two_lengths_smuggle_nothing(impatient: Api, seen: Note) -> None:
    """One answer, and no job: whichever length a proxy in front believes."""
    smuggled = request_head(impatient.key, length=0)
    both = request_head(impatient.key, length=5, more=("Transfer-Encoding: chunked",))
    answer = await impatient.raw(both + b"0\r\n\r\n" + smuggled)
    seen(f"{status_of(answer)}, {answer.count(b'HTTP/1.1 ')} answer")
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (await impatient.http.get("/jobs")).json()["jobs"] == []


@pytest.mark.hostile_input(29, "a megabyte behind bytes that are no request", "400, then closed")
async def test_who_was_refused_is_listened_to_for_a_moment_only(impatient: Api, seen: Note) -> None:
    """To close at once with something unread would take the 400 back before it is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port)
    writer.write(b"nonsense\r\n\r\n" + b"x" * 1_000_000)
    answer = await reader.read()
    seen(f"{status_of(answer)}, closed")
    assert status_of(answer) == 400
    async with asyncio.timeout(10):
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)


@pytest.mark.hostile_input(29, "an answer of many megabytes that nobody reads", "closed")
async def test_an_answer_that_nobody_reads_is_given_up(impatient: Api, seen: Note) -> None:
    """Else each connection would hold its transcript in memory for as long as its reader likes."""
    job_id = await impatient.submit()
    words = tuple(Word("word", n / 10, n / 10 + 0.05, 0.9, 0) for n in range(100_000))
    said = Segment(0.0, 10_000.0, "word " * 100_000, 0, 0.9, "scripted_primary", words)
    await impatient.complete(job_id, msgspec.structs.replace(transcript(job_id), segments=(said,)))
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port, limit=1)
    writer.write(
        f"GET /jobs/{job_id}/transcript HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\n\r\n".encode()
    )
    assert (await reader.read(12)) == b"HTTP/1.1 200"[:12]
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport
    async with asyncio.timeout(20):
        while connections(impatient.port):
            await asyncio.sleep(0.05)
    seen("closed")
    writer.transport.abort()
