"""The log as the victim: what strangers send forges no line of it, steers no terminal, and tells no secret."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Iterator

import pytest

from commands.logs import Redacted, set_up_logging
from tests.servers.api import Api, ApiMaker
from tiro.model.blob import transcript_key

Note = Callable[[str], None]
FORGED = "12:00:00 INFO    tiro: all is well"
BEGINS = re.compile(r"\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR|CRITICAL) +[\w.]+: ")
CANARY = "canary"


def hostile(what: str, text: str) -> object:
    return pytest.param(text, marks=pytest.mark.hostile_input(57, what, "no line of a log is forged"), id=what)


INJECTIONS = [
    hostile("CR LF and a record", f"x\r\n{FORGED}"),
    hostile("a record after LF", f"x\n{FORGED}"),
    hostile("a record after CR", f"x\r{FORGED}"),
    hostile("a record after other line breaks", f"x\x0b{FORGED}\x0c{FORGED}\x85{FORGED}\u2028{FORGED}\u2029{FORGED}"),
    hostile("ANSI colours", "\x1b[31mx\x1b[0m"),
    hostile("a cleared screen", "\x1b[2J\x1b[H\x9b2J"),
    hostile("a terminal's title", "\x1b]0;x\x07"),
    hostile("backspaces", "x" + "\x08" * 80),
    hostile("a text that is written backwards", "x\u202egol\u202c\u2066"),
    hostile("NUL", "a\x00b"),
    hostile("half a character", "a\ud800b"),
]


def as_lines(text: str) -> list[str]:
    """What the formatter makes of a record with this text, in its words, its name and its error."""
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("tiro", logging.INFO, __file__, 1, "was sent %s", (text,), sys.exc_info())
    written = Redacted("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S").format(record)
    assert written.encode()
    return written.split("\n")


@pytest.mark.parametrize("text", INJECTIONS)
def test_only_a_record_begins_at_the_margin(text: str, seen: Note) -> None:
    """Its other lines are indented, and control characters are written out."""
    first, *others = as_lines(text)
    seen(f"{len(others)} further lines, all indented")
    assert BEGINS.match(first)
    assert others
    assert all(line.startswith("    ") for line in others)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", first + "".join(others))


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a server started with TIRO_LOG=debug writes."""
    root, written = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    set_up_logging("debug")
    logging.StreamHandler.setStream(root.handlers[0], written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)


def all_records(written: io.StringIO) -> str:
    """The log, every line of it a record's."""
    for line in written.getvalue().splitlines():
        assert BEGINS.match(line) or line.startswith("    ") or not line, line
    return written.getvalue()


@pytest.fixture
async def talkative(logged: io.StringIO, make_api: ApiMaker) -> Api:
    """A server that logs all it can."""
    api = await make_api()
    assert isinstance(logged, io.StringIO)
    return api


REQUESTS = {
    "escapes in the address": b"GET /jobs/%1b%5b31m%0d%0acanary?x=%0d%0acanary HTTP/1.1\r\nHost: x\r\n",
    "escapes in a header": b"GET /jobs HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31mcanary\xe2\x80\xae\r\n",
    "a folded header": b"GET /jobs HTTP/1.1\r\nHost: x\r\nX-A: b\r\n 12:00:00 INFO canary\r\n",
    "a key in the address": b"GET /jobs?access_token=tsk_live_canary HTTP/1.1\r\nHost: x\r\n",
    "a key that is none": b"GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tsk_live_canary\r\n",
    "a token that is none": b"GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer eyJcanary.eyJcanary.canary\r\n",
    "a signature that is none": b"GET /jobs HTTP/1.1\r\nHost: x\r\nX-Transcription-Signature: canary\r\n",
    "a cookie": b"GET /jobs HTTP/1.1\r\nHost: x\r\nCookie: session=canary\r\n",
    "an upgrade to canary": b"GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: canary\r\n",
    "an upgrade to WebSocket": b"GET /canary HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "bytes that are no HTTP": b"canary\x1b[31m\r\n",
    "JSON that is none": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8\r\n",
}


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(data, marks=pytest.mark.hostile_input(57, f"{what}, in a request", "not in the log"), id=what)
        for what, data in REQUESTS.items()
    ],
)
async def test_a_log_at_level_debug_holds_nothing_of_a_request(
    talkative: Api, logged: io.StringIO, seen: Note, request_: bytes
) -> None:
    await talkative.raw(request_ + b"Connection: close\r\n\r\n{canary}" * (b"Upgrade" not in request_) + b"\r\n")
    logging.getLogger("tiro").info("heard")
    log = all_records(logged)
    seen(f"{len(log.splitlines()) - 1} lines of our own")
    assert "heard" in log
    assert "WebSocket" not in log
    assert CANARY not in log


@pytest.mark.hostile_input(57, "words in an error of ours", "500, and not in the log")
async def test_an_error_that_nobody_expected_is_logged_without_its_words(
    talkative: Api, logged: io.StringIO, seen: Note
) -> None:
    """A transcript in the store that is none any more: where it happened is in the log, under the answer's id."""
    job_id = await talkative.submit()
    await talkative.complete(job_id)
    talkative.house.blobs.put(transcript_key(job_id), b'{"job_id":{"canary":"\x1b[31m"}}')
    answer = await talkative.http.get(f"/jobs/{job_id}/transcript")
    log = all_records(logged)
    seen(str(answer.status_code))
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in log
    assert CANARY not in log + answer.text
