"""Is a server that answers with malice cut off, told by name, and never given more memory than it is due?"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.egress.table import said
from tests.hostile.egress.ways import LIMITS, QUICK
from tests.servers.scripted_http import Script, ScriptedHttp, Visit, certificate
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.http import HttpSource
from tiro.adapters.fakes import SetClock
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.ports import Preparer

MORE_BYTES = 32 * 1024 * 1024
"""What one download may take beside the megabyte that it brings."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LOGIN = b"<!DOCTYPE html><title>Sign in</title>"
PLAYLIST = b"#EXTM3U\n#EXTINF:2,\nhttp://169.254.169.254/a.ts\n#EXT-X-ENDLIST\n"
BOMB = gzip.compress(b"\0" * 100_000_000)
FEED_BOMB = gzip.compress(b"<rss><channel><item><title>" + b"a" * 50_000_000)


def _says(data: bytes) -> Script:
    return lambda visit: visit.send(data)


def _again(start: bytes, more: bytes) -> Script:
    """Without an end, as fast as it is taken."""

    def send(visit: Visit) -> None:
        visit.send(start)
        while not visit.ended.is_set():
            visit.send(more)

    return send


def _drips(start: bytes, more: bytes) -> Script:
    def send(visit: Visit) -> None:
        visit.send(start)
        visit.drip(more, 0.05)

    return send


def _packed(body: bytes, encoding: str = "gzip") -> Script:
    return lambda visit: visit.answer(body=body, headers={"Content-Encoding": encoding})


def _unranged(visit: Visit) -> None:
    """We never ask for a part, so nobody can answer with another."""
    visit.answer(500 if "range" in visit.headers else 200, body=b"x" * 1000)


CASES: dict[str, tuple[str, Script]] = {
    "a gzip bomb": ("file_too_large", _packed(BOMB)),
    "a deflate bomb": ("file_too_large", _packed(zlib.compress(b"\0" * 100_000_000), "deflate")),
    "a gzip bomb in a bomb": ("file_too_large", _packed(gzip.compress(BOMB * 50))),
    "a bomb packed twice": ("content_encoding", _packed(gzip.compress(BOMB), "gzip, gzip")),
    "a thousand empty gzip members": ("invalid_audio unsupported_format", _packed(gzip.compress(b"") * 1000 + gzip.compress(b"x" * 99))),
    "a feed that is a gzip bomb": ("feed_too_large", _packed(FEED_BOMB)),
    "an encoding nobody asked for": ("content_encoding", _packed(b"x", "br")),
    "a body without an end": ("file_too_large", _again(OK + b"\r\n", b"x" * 65536)),
    "chunks without an end": ("file_too_large", _again(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n")),
    "one byte a second": ("source_timeout", _drips(OK + b"Content-Length: 1000\r\n\r\n", b"x")),
    "headers at one byte a second": ("source_timeout", _drips(OK, b"X: y\r\n")),
    "silence": ("source_timeout", lambda visit: visit.ended.wait(20)),
    "silence after the headers": ("source_timeout", _drips(OK + b"Content-Length: 9\r\n\r\n", b"")),
    "a length of ten terabytes": ("file_too_large", _says(OK + b"Content-Length: 10995116277760\r\n\r\n" + b"x" * 2000)),
    "a length that promises more": ("source_unreachable", _says(OK + b"Content-Length: 1000\r\n\r\nabc")),
    "a length that promises less": ("invalid_audio unsupported_format", _says(OK + b"Content-Length: 3\r\n\r\nabcdef")),
    "a negative length": ("source_unreachable", _says(OK + b"Content-Length: -1\r\n\r\nabc")),
    "a length in letters": ("source_unreachable", _says(OK + b"Content-Length: many\r\n\r\nabc")),
    "a length of thirty digits": ("source_unreachable", _says(OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabc")),
    "two lengths": ("source_unreachable", _says(OK + b"Content-Length: 3\r\nContent-Length: 6\r\n\r\nabcdef")),
    "a range that was not asked for": ("invalid_audio unsupported_format", _unranged),
    "206 with another range": ("http_status", lambda visit: visit.answer(206, b"x", {"Content-Range": "bytes 5-5/9"})),
    "416": ("http_status", lambda visit: visit.answer(416)),
    "204": ("http_status", lambda visit: visit.answer(204)),
    "304": ("http_status", lambda visit: visit.answer(304)),
    "401 with a challenge": ("http_status", lambda visit: visit.answer(401, b"", {"WWW-Authenticate": "Negotiate"})),
    "407": ("http_status", lambda visit: visit.answer(407, b"", {"Proxy-Authenticate": "Basic"})),
    "a status of 999": ("source_unreachable", lambda visit: visit.answer(999)),
    "a redirect without a target": ("http_status", lambda visit: visit.answer(302)),
    "a login page instead of a recording": ("web_page", lambda visit: visit.answer(body=LOGIN, headers={"Content-Type": "text/html"})),
    "a login page declared as sound": ("web_page", lambda visit: visit.answer(body=LOGIN, headers={"Content-Type": "audio/mpeg"})),
    "a playlist that names 169.254.169.254": ("invalid_audio unsupported_format", lambda visit: visit.answer(body=PLAYLIST)),
    "no bytes": ("invalid_audio empty_audio", lambda visit: visit.answer()),
    "no bytes in chunks": ("invalid_audio empty_audio", _says(CHUNKED + b"0\r\n\r\n")),
    "a header of a megabyte": ("source_unreachable", _says(OK + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n")),
    "headers without an end": ("source_unreachable", _again(OK, b"X: " + b"y" * 1000 + b"\r\n")),
    "a header line without an end": ("source_unreachable", _again(OK + b"X: ", b"y" * 65536)),
    "100 Continue without an end": ("source_timeout", _again(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "a chunk of size zz": ("source_unreachable", _says(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n")),
    "a chunk of negative size": ("source_unreachable", _says(CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n")),
    "a chunk larger than the world": ("source_unreachable", _says(CHUNKED + b"f" * 30 + b"\r\nabc")),
    "chunks without their last": ("source_unreachable", _says(CHUNKED + b"3\r\nabc\r\n")),
    "chunks and a length": ("invalid_audio unsupported_format", _says(CHUNKED[:-2] + b"Content-Length: 99\r\n\r\n3\r\nabc\r\n0\r\n\r\n")),
    "HTTP/0.9": ("source_unreachable", _says(b"ID3 just bytes")),
    "HTTP/2 without being asked": ("source_unreachable", _says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18)),
    "a reset": ("source_unreachable", lambda visit: visit.reset()),
}  # fmt: skip


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    made = ChildPreparer(span_s=60, vad="energy")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedHttp]:
    scripts = {f"/{number}": script for number, (_, script) in enumerate(CASES.values())}
    with ScriptedHttp(scripts) as running:
        yield running


class Taker:
    """Downloads an address and looks at what came, as a worker does."""

    def __init__(self, preparer: Preparer, folder: Path) -> None:
        self._preparer, self._file = preparer, folder / "recording"
        self.blobs = MemoryBlobs(SetClock())
        self.guard = Guard(["127.0.0.0/8"])

    def take(self, url: str) -> str:
        source = HttpSource(self.guard, QUICK)
        stop = threading.Event()
        WebFetcher(self.guard, None, source, 30).fetch(url, LIMITS, lambda _: self.blobs.writer("source"), stop)
        self._file.write_bytes(self.blobs.get("source"))
        return f"invalid_audio {said(lambda: str(self._preparer.probe(self._file, LIMITS, stop)))}"


@pytest.fixture
def taker(preparer: Preparer, tmp_path: Path) -> Taker:
    return Taker(preparer, tmp_path)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(number, expected, id=what, marks=pytest.mark.hostile_input(49, what, expected))
        for number, (what, (expected, _)) in enumerate(CASES.items())
    ],
)
def test_a_hostile_answer_has_its_word_in_flat_memory(
    number: int, expected: str, server: ScriptedHttp, taker: Taker, seen
) -> None:
    taker.take(_small(server))
    before = _most_bytes()
    word = said(lambda: taker.take(server.url(f"/{number}")))
    seen(word)
    assert word == expected
    assert _most_bytes() - before < MORE_BYTES
    assert not taker.blobs._open


def _small(server: ScriptedHttp) -> str:
    """An honest download, after which what all downloads need is in memory."""
    server.scripts["/small"] = lambda visit: visit.answer(body=b"x" * 1000)
    return server.url("/small")


def _most_bytes() -> int:
    """The most memory this process has held since this was last asked."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize(
    ("names", "valid", "expected"),
    [
        pytest.param(names, valid, expected, id=what, marks=pytest.mark.hostile_input(49, what, expected))
        for what, names, valid, expected in [
            ("a certificate signed by itself", "127.0.0.1", (-1, 1), "certificate"),
            ("a certificate that has expired", "127.0.0.1", (-9, -1), "certificate"),
            ("a certificate of tomorrow", "127.0.0.1", (1, 9), "certificate"),
            ("a certificate for another name", "other.example", (-1, 1), "certificate"),
        ]
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_must_hold(
    names: str, valid: tuple[int, int], expected: str, trusted: bool, tmp_path: Path, seen
) -> None:
    """Its signer known or not; where it is known and all holds, there is a recording."""
    tls, trust = certificate(tmp_path, names, valid=valid)
    guard, blobs = Guard(["127.0.0.0/8"]), MemoryBlobs(SetClock())
    good = trusted and names == "127.0.0.1" and valid == (-1, 1)
    with ScriptedHttp({"/": lambda visit: visit.answer(body=b"x")}, tls) as server:
        source = HttpSource(guard, QUICK, trust if trusted else None)
        word = said(
            lambda: (
                WebFetcher(guard, None, source, 5)
                .fetch(server.url(), LIMITS, lambda _: blobs.writer("source"), threading.Event())
                .fetcher
            )
        )
    seen(f"{word} ({'known' if trusted else 'unknown'} signer)")
    assert word == ("http" if good else expected)
