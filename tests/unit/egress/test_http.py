"""Is one address downloaded within its bounds, whatever the server does?"""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib

import pytest

from tests.servers.scripted_http import Visit, certificate
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.http import HttpSource, Pace
from tiro.model.errors import SourceRefused, TooLarge, Transient

QUICK = Pace(connect_s=0.5, idle_s=0.5, min_bytes_s=100_000, window_s=0.3)
SOUND = bytes(range(256)) * 40


@pytest.fixture
def fetch(guard, shelf, limits, stop):
    """Fetch an address as the worker does; what is fetched lies on the shelf."""

    def run(url: str, *, pace: Pace | None = None, deadline_s: float = 20, by: Guard = guard, stop=stop, verify=None):
        fetcher = WebFetcher(by, None, HttpSource(by, pace, verify), deadline_s)
        return fetcher.fetch(url, limits, shelf.writer, stop)

    return run


def fails(call, kind: type[Exception], *args, **named):
    with pytest.raises(kind) as raised:
        call(*args, **named)
    error = raised.value
    assert "127.0.0.1" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error


def test_what_is_served_is_stored(serve, fetch, shelf) -> None:
    server = serve({"/a.mp3": lambda visit: visit.answer(body=SOUND)})
    fetched = fetch(server.url("/a.mp3?X-Amz-Signature=ab%2Fc"))
    assert (fetched.fetcher, fetched.blob.size_bytes, shelf.content) == ("http", len(SOUND), SOUND)
    visit = server.visits[0]
    assert (visit.method, visit.path) == ("GET", "/a.mp3?X-Amz-Signature=ab%2Fc")
    assert (visit.headers["accept-encoding"], visit.headers["user-agent"]) == ("identity", "Tiro")
    assert len(server.visits) == 1
    assert shelf.left_open == 0


def test_https_is_spoken_and_its_certificate_checked(serve, fetch, shelf, tmp_path) -> None:
    tls, trust = certificate(tmp_path, "127.0.0.1")
    server = serve({"/": lambda visit: visit.answer(body=SOUND)}, tls=tls)
    assert fails(fetch, SourceRefused, server.url()).reason == "certificate"
    fetch(server.url(), verify=trust)
    assert shelf.content == SOUND


def test_a_chunked_answer_is_stored(serve, fetch, shelf) -> None:
    def chunked(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    fetch(serve({"/": chunked}).url())
    assert shelf.content == b"abcde"


def test_five_redirects_are_followed_and_six_are_not(serve, fetch, shelf) -> None:
    hops = {f"/{n}": (lambda visit, n=n: visit.answer(302, headers={"Location": f"{n - 1}"})) for n in range(1, 7)}
    server = serve({**hops, "/0": lambda visit: visit.answer(body=SOUND)})
    fetch(server.url("/5"))
    assert shelf.content == SOUND
    assert fails(fetch, SourceRefused, server.url("/6")).reason == "too_many_redirects"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://169.254.169.254/latest", "forbidden_address"),
        ("https://[::1]/", "forbidden_address"),
        ("http://8.8.8.8/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://user:pass@example.com/", "credentials"),
        ("//0x0a000001/", "forbidden_address"),
    ],
)
def test_a_redirect_is_checked_like_the_first_address(serve, fetch, shelf, location: str, reason: str) -> None:
    server = serve({"/": lambda visit: visit.answer(307, headers={"Location": location})})
    assert fails(fetch, SourceRefused, server.url()).reason == reason
    assert shelf.content is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 206, 304])
def test_a_refusal_is_final_and_told_with_its_status(serve, fetch, shelf, status: int) -> None:
    error = fails(fetch, SourceRefused, serve({"/": lambda visit: visit.answer(status)}).url())
    assert (error.code, error.reason, error.extras["upstream_status"]) == ("source_unavailable", "http_status", status)
    assert shelf.left_open == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_in_trouble_may_recover(serve, fetch, status: int) -> None:
    error = fails(fetch, Transient, serve({"/": lambda visit: visit.answer(status)}).url())
    assert (error.code, error.extras["upstream_status"]) == ("source_unreachable", status)


@pytest.mark.promise("J19")
def test_a_file_of_the_limit_passes_and_one_byte_more_does_not(serve, fetch, shelf, limits) -> None:
    exact, above = b"x" * limits.max_bytes, b"x" * (limits.max_bytes + 1)
    server = serve({"/exact": lambda visit: visit.answer(body=exact), "/above": lambda visit: visit.answer(body=above)})
    fetch(server.url("/exact"))
    assert shelf.content == exact
    shelf.blobs.delete("source")
    assert fails(fetch, TooLarge, server.url("/above")).extras["limit_bytes"] == limits.max_bytes
    assert shelf.content is None
    assert shelf.left_open == 0


def test_an_endless_answer_without_a_length_is_cut_at_the_limit(serve, fetch, shelf) -> None:
    def endless(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            visit.send(b"x" * 65536)

    fails(fetch, TooLarge, serve({"/": endless}).url())
    assert shelf.left_open == 0


def test_a_length_that_promises_too_much_is_a_broken_download(serve, fetch, shelf) -> None:
    def short(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")

    assert fails(fetch, Transient, serve({"/": short}).url()).code == "source_unreachable"
    assert shelf.content is None
    assert shelf.left_open == 0


def test_a_length_that_promises_too_little_ends_the_download_there(serve, fetch, shelf) -> None:
    def long(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")

    fetch(serve({"/": long}).url())
    assert shelf.content == b"abc"


@pytest.mark.parametrize("status_line", [b"HTTP/9 200 OK\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_not_http_is_unreachable(serve, fetch, status_line: bytes) -> None:
    server = serve({"/": lambda visit: visit.send(status_line)})
    assert fails(fetch, Transient, server.url()).code == "source_unreachable"


def test_a_reset_is_unreachable(serve, fetch, shelf) -> None:
    def torn(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        visit.reset()

    assert fails(fetch, Transient, serve({"/": torn}).url()).code == "source_unreachable"
    assert shelf.left_open == 0


def test_a_closed_port_is_unreachable(fetch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert fails(fetch, Transient, f"http://127.0.0.1:{port}/").code == "source_unreachable"


def test_silence_is_a_timeout(serve, fetch) -> None:
    server = serve({"/": lambda visit: visit.ended.wait(20)})
    began = time.monotonic()
    assert fails(fetch, Transient, server.url(), pace=QUICK).code == "source_timeout"
    assert time.monotonic() - began < 5


def test_dripped_headers_are_cut(serve, fetch) -> None:
    server = serve({"/": lambda visit: visit.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, 0.01)})
    assert fails(fetch, Transient, server.url(), pace=QUICK).code == "source_timeout"


def test_a_dripped_body_is_cut(serve, fetch, shelf) -> None:
    def drip(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        visit.drip(b"x", 0.01)

    assert fails(fetch, Transient, serve({"/": drip}).url(), pace=QUICK).code == "source_timeout"
    assert shelf.left_open == 0


def test_the_deadline_counts_for_the_whole(serve, fetch) -> None:
    def steady(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        visit.drip(b"x", 0.01)

    error = fails(fetch, Transient, serve({"/": steady}).url(), deadline_s=0.4)
    assert error.code == "source_timeout"


@pytest.mark.parametrize("where", ["before", "headers", "body"])
def test_stop_ends_a_download_at_once(serve, fetch, shelf, where: str) -> None:
    stop, begun = threading.Event(), threading.Event()

    def hang(visit: Visit) -> None:
        if where == "body":
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
        begun.set()
        visit.ended.wait(20)

    server = serve({"/": hang})
    if where == "before":
        stop.set()
    else:
        threading.Thread(target=lambda: (begun.wait(10), stop.set())).start()
    began = time.monotonic()
    assert fails(fetch, Transient, server.url(), stop=stop).code == "stopped"
    assert time.monotonic() - began < 3
    assert shelf.left_open == 0


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_server_that_compresses_unasked_is_unpacked(serve, fetch, shelf, encoding: str) -> None:
    packed = zlib.compress(SOUND) if encoding == "deflate" else gzip.compress(SOUND[:99]) + gzip.compress(SOUND[99:])
    server = serve({"/": lambda visit: visit.answer(body=packed, headers={"Content-Encoding": encoding})})
    fetch(server.url())
    assert shelf.content == SOUND


def test_a_bomb_is_cut_at_the_limit(serve, fetch, shelf) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    server = serve({"/": lambda visit: visit.answer(body=bomb, headers={"Content-Encoding": "gzip"})})
    fails(fetch, TooLarge, server.url())
    assert shelf.left_open == 0


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", SOUND), ("gzip, gzip", SOUND), ("gzip", SOUND), ("gzip", gzip.compress(SOUND)[:-20])],
    ids=["unknown", "twice", "not at all", "cut short"],  # gzip writes down the time: it must not name a test
)
def test_what_cannot_be_unpacked_is_refused(serve, fetch, shelf, encoding: str, body: bytes) -> None:
    server = serve({"/": lambda visit: visit.answer(body=body, headers={"Content-Encoding": encoding})})
    assert fails(fetch, SourceRefused, server.url()).reason == "content_encoding"
    assert shelf.content is None


def test_a_store_that_fails_leaves_no_object(serve, fetch, shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve({"/": lambda visit: visit.answer(body=SOUND)})

    def full(self: object, data: bytes) -> None:
        raise Transient("store_full")

    monkeypatch.setattr("tiro.adapters.storage.memory.MemoryWriter.write", full)
    with pytest.raises(Transient, match="store_full"):
        fetch(server.url())
    assert shelf.left_open == 0


def test_no_address_reaches_the_log(serve, fetch, caplog: pytest.LogCaptureFixture) -> None:
    server = serve({"/": lambda visit: visit.answer(403)})
    with caplog.at_level("DEBUG"):
        fails(fetch, SourceRefused, server.url("/?signature=canary"))
    assert "canary" not in caplog.text
