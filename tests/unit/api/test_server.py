"""What a connection may cost before a request has come in whole."""

from __future__ import annotations

import asyncio

import pytest

from api.server import PatientProtocol
from tests.servers.api import Api


async def _closed_within(api: Api, first: bytes, drip: bytes, limit_s: float) -> bytes:
    """Send, then drip; what came back until the server closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(first)
    got = b""
    async with asyncio.timeout(limit_s):
        while True:
            writer.write(drip)
            try:
                chunk = await asyncio.wait_for(reader.read(65536), 0.05)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not chunk:
                break
            got += chunk
    writer.close()
    return got


async def test_slow_headers_are_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header byte now and then keeps no connection open."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.4)
    assert await _closed_within(api, b"GET /health HTTP/1.1\r\nX: ", b"x", 3) == b""


async def test_silence_is_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.3)
    assert await _closed_within(api, b"", b"", 3) == b""


async def test_slow_headers_of_a_second_request_are_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alive is no way around it."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.4)
    first = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    got = await _closed_within(api, first, b"X", 3)
    assert got.startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_nobody_reads_is_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal the rest of the body is taken for a moment only."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.4)
    first = b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    got = await _closed_within(api, first, b"x", 3)
    assert got.startswith(b"HTTP/1.1 404 ")


async def test_who_was_refused_is_listened_to_for_a_moment_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """To close at once with something unread would take the 400 back before it is read."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.4)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(b"nonsense\r\n\r\n" + b"x" * 1_000_000)
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    async with asyncio.timeout(3):
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)
