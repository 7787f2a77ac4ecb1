"""What holds for long bodies, which are read past the parser of requests: all of them arrives, and nothing but them."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import random
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from api.arriving import LONG_BYTES, LongBody
from tests.hostile.requests.bodies import HEAD, TAIL
from tests.hostile.requests.sending import request_head, status_of
from tests.servers.api import Api
from tests.servers.audio import tone_wav
from tiro.model.blob import source_key

SOUND = tone_wav(100.0)
"""Three pieces, and some more."""
BODY = HEAD + SOUND + TAIL
AFTER = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[LongBody]:
    """The bodies that were read so."""
    seen: list[LongBody] = []
    begin = LongBody.__init__

    def noted(self: LongBody, *args: object) -> None:
        seen.append(self)
        begin(self, *args)  # type: ignore[arg-type]  # whatever it wants

    monkeypatch.setattr(LongBody, "__init__", noted)
    return seen


async def test_every_byte_arrives_in_whatever_pieces_it_was_sent(api: Api, taken: list[LongBody]) -> None:
    sizes = random.Random(7)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    left = memoryview(request_head(api.key, length=len(BODY)) + BODY)
    while left:
        size = sizes.choice((1, 1000, 70_000, 600_000))
        writer.write(left[:size])
        await writer.drain()
        left = left[size:]
    answer = await reader.read()
    writer.close()
    job_id = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["job_id"]
    stored = await asyncio.to_thread(api.house.blobs.get, source_key(job_id))
    assert (status_of(answer), _digest(stored), len(taken)) == (202, _digest(SOUND), 1)


async def test_what_follows_on_the_connection_is_the_next_request(api: Api, taken: list[LongBody]) -> None:
    """Sent in one go, so that both lie with the kernel together."""
    head = request_head(api.key, length=len(BODY)).replace(b"Connection: close\r\n", b"")
    answer = await api.raw(head + BODY + AFTER)
    assert [one[:3] for one in answer.split(b"HTTP/1.1 ")[1:]] == [b"202", b"200"]
    assert len(taken) == 1


async def test_a_connection_is_good_for_one_after_the_other(api: Api, taken: list[LongBody]) -> None:
    def sent() -> list[int]:
        connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
        headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "multipart/form-data; boundary=b"}
        statuses = []
        for _ in range(3):
            connection.request("POST", "/jobs", BODY, headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    assert await asyncio.to_thread(sent) == [202, 202, 202]
    assert len(taken) == 3


async def test_a_body_that_is_refused_meanwhile_is_left_to_the_parser(api: Api, taken: list[LongBody]) -> None:
    """The answer comes before the body has; the rest is dropped, and then the connection ends as it always does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request_head(api.key, "/nothing", length=len(BODY)) + BODY[:100])
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.write(BODY[100:])
    await reader.read()
    writer.close()
    assert status_of(answer) == 404
    assert len(taken) == 1


async def test_who_goes_away_in_the_middle_leaves_nothing(api: Api, taken: list[LongBody], tmp_path: Path) -> None:
    (store,) = tmp_path.rglob("blobs")
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request_head(api.key, length=len(BODY)) + BODY[: len(BODY) // 2])
    await writer.drain()
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(_unfinished, store):
            await asyncio.sleep(0.01)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while await asyncio.to_thread(_unfinished, store):
            await asyncio.sleep(0.01)
    assert list(api.house.blobs.list("jobs/")) == []
    assert len(taken) == 1


async def test_a_short_body_is_not_worth_it(api: Api, taken: list[LongBody]) -> None:
    body = HEAD + tone_wav(30.0) + TAIL
    assert len(body) < LONG_BYTES
    answer = await api.raw(request_head(api.key, length=len(body)) + body)
    assert (status_of(answer), taken) == (202, [])


def _unfinished(blobs: Path) -> bool:
    """Whether bytes lie in the store that are no object yet; walked, since folders go meanwhile."""
    return any(files for _, _, files in os.walk(blobs / ".tmp"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
