"""Is a long body decoded beside the loop, few at once, and a short one at once?"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest
from litestar import Request

from api.body import LONG_AT_ONCE, LONG_BYTES, LongJson
from api.config import MIB, RequestLimits
from tiro.model.errors import Invalid

LIMITS = RequestLimits(json_bytes=MIB)


def request(value: object) -> Request[Any, Any, Any]:
    body = msgspec.json.encode(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": headers}, receive=receive)  # type: ignore[arg-type, typeddict-item]


LONG = {"text": "x" * LONG_BYTES}


async def test_a_short_body_needs_no_thread() -> None:
    where = await LongJson(LIMITS, 10).read(request({"a": 1}), lambda _: threading.current_thread())
    assert where is threading.current_thread()


async def test_a_long_body_keeps_nobody_waiting() -> None:
    where = await LongJson(LIMITS, 10).read(request(LONG), lambda _: threading.current_thread())
    assert where is not threading.current_thread()


async def test_long_bodies_are_decoded_few_at_once() -> None:
    """However many have come in."""
    reader, inside, most, gate = LongJson(LIMITS, 10), 0, 0, threading.Event()
    counting = threading.Lock()

    def understand(value: dict[str, Any]) -> int:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        gate.wait(20)
        with counting:
            inside -= 1
        return len(value["text"])

    reading = [asyncio.create_task(reader.read(request(LONG), understand)) for _ in range(3 * LONG_AT_ONCE)]
    async with asyncio.timeout(20):
        while inside < LONG_AT_ONCE:
            await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(*reading) == [LONG_BYTES] * 3 * LONG_AT_ONCE
    assert most == LONG_AT_ONCE


@pytest.mark.parametrize("fill", ["", "x" * LONG_BYTES], ids=["short", "long"])
async def test_too_many_values_are_refused_whatever_the_length(fill: str) -> None:
    with pytest.raises(Invalid) as refused:
        await LongJson(LIMITS, 10).read(request({"text": fill, "values": [0] * 20}), len)
    assert refused.value.code == "request_too_large"


async def test_a_refused_body_gives_its_place_back() -> None:
    reader = LongJson(LIMITS, 10)
    for _ in range(2 * LONG_AT_ONCE):
        with pytest.raises(Invalid):
            await reader.read(request({**LONG, "values": [0] * 20}), len)
    assert await reader.read(request(LONG), len) == 1
