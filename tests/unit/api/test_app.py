"""The server around the dialects: request ids, health, unknown addresses, the documents, the relay's life."""

from __future__ import annotations

import asyncio
import logging
import threading

import msgspec
import pytest

from api.app import THREADS
from api.config import RequestLimits
from api.relay import Relay
from tests.servers.api import Api, ApiMaker
from tiro.model.errors import Transient
from tiro.model.ids import is_id
from tiro.services.house import Bell, House


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing/here", 404),
        ("GET", "/jobs/a/b/c", 404),
        ("PUT", "/jobs", 405),
        ("TRACE", "/jobs", 405),
        ("GET", "/auth/token", 405),
        ("OPTIONS", "/jobs", 204),
        ("GET", "/health", 200),
        ("GET", "/jobs", 200),
    ],
)
async def test_every_answer_has_a_request_id(api: Api, method: str, path: str, status: int) -> None:
    """And unknown addresses and methods are answered in the dialect's words."""
    answer = await api.http.request(method, path)
    assert answer.status_code == status
    assert is_id("req", answer.headers["x-request-id"])
    assert "server" not in answer.headers
    if status >= 400:
        assert set(answer.json()) == {"error", "message"}
    if status == 405:
        assert "POST" in answer.headers["allow"]


async def test_what_blocks_for_some_callers_keeps_no_other_waiting(api: Api) -> None:
    """Resolvers that never answer, stores that are slow: more of them than a small machine gives threads by itself."""
    over = threading.Event()
    held = [asyncio.create_task(asyncio.to_thread(over.wait)) for _ in range(THREADS // 2 + 1)]
    try:
        async with asyncio.timeout(30):
            job_id = await api.submit(language="en")
    finally:
        over.set()
        await asyncio.gather(*held)
    assert is_id("job", job_id)


async def test_an_unexpected_error_is_a_500_without_its_words(
    make_api: ApiMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the place and the request id, the answer has neither."""

    class Broken:
        words = "semase"[::-1]

        async def page(self, *_: object, **__: object) -> object:
            raise ZeroDivisionError(self.words)

    api = await make_api(change=lambda house: msgspec.structs.replace(house, jobs=Broken()))
    answer = await api.http.get("/jobs")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "esames" not in caplog.text + answer.text


async def test_health_needs_no_key_and_asks_the_database(make_api: ApiMaker) -> None:
    """200 while it answers, 503 while not."""

    class Away:
        def __init__(self, house: House) -> None:
            self._records = house.records
            self.begin, self.close = house.records.begin, house.records.close

        async def now(self) -> object:
            raise Transient("database_unavailable")

    api = await make_api(change=lambda house: msgspec.structs.replace(house, records=Away(house)))
    answer = await api.http.get("/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (503, {"status": "database_unavailable"})


@pytest.mark.promise("J24")
async def test_a_store_that_is_away_is_a_503(make_api: ApiMaker) -> None:
    """503 transient_error with Retry-After; what exactly is away is not told."""

    class Away:
        async def get(self, *_: object) -> object:
            raise Transient("database_unavailable", "at 10.0.0.7")

    api = await make_api(change=lambda house: msgspec.structs.replace(house, jobs=Away()))
    answer = await api.http.get("/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (answer.status_code, answer.json()["error"]) == (503, "transient_error")
    assert answer.headers["retry-after"] == "5"
    assert "10.0.0.7" not in answer.text


@pytest.mark.promise("J50")
async def test_a_websocket_finds_nothing(api: Api) -> None:
    """A clean 404."""
    answer = await api.raw(
        f"GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.promise("J49")
async def test_the_document_names_every_route(api: Api) -> None:
    """Without a key; each route that is served is in it, and the other way round."""
    document = (await api.http.get("/openapi.json", headers={"Authorization": ""})).json()
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {
        ("POST", "/auth/token"),
        ("POST", "/auth/refresh"),
        ("POST", "/jobs"),
        ("GET", "/jobs"),
        ("GET", "/jobs/{job_id}"),
        ("DELETE", "/jobs/{job_id}"),
        ("POST", "/jobs/{job_id}/cancel"),
        ("GET", "/jobs/{job_id}/transcript"),
    }
    for method, path in told:
        answer = await api.http.request(
            method, path.replace("{job_id}", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"), headers={"Authorization": ""}
        )
        assert answer.status_code in {400, 401, 415}, (method, path)
    assert document["servers"] == [{"url": "https://tiro.example"}]


@pytest.mark.promise("J49")
async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    """No scripts, no key, no other host."""
    answer = await api.http.get("/docs", headers={"Authorization": ""})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in answer.text
    assert "src=" not in answer.text
    assert "POST /jobs" in answer.text


async def test_headers_do_not_end_up_in_answers(api: Api) -> None:
    """Host, X-Forwarded-For and X-Request-Id are strangers' words."""
    answer = await api.raw(
        b"GET /nothing HTTP/1.1\r\nHost: evil.example\r\nX-Request-Id: evil\r\nX-Forwarded-Host: evil.example\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert b"evil" not in answer


async def test_bytes_that_are_no_http_are_refused(api: Api) -> None:
    """400 by the server itself."""
    assert (await api.raw(b"\x16\x03\x01\x02\x00")).startswith(b"HTTP/1.1 400 ")


class _Dispatch:
    """Fails so many times, then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.passes = 0

    async def once(self) -> int:
        self.passes += 1
        if self.errors:
            raise self.errors.pop(0)
        return 0


async def test_the_relay_outlives_an_outage_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """Transient or not, it goes on; one line when it begins, one when it ends."""
    caplog.set_level(logging.INFO)
    away = Transient("temporal_unavailable")
    dispatch = _Dispatch(away, away, away)
    async with Relay(dispatch, Bell(), every_s=0.01).running(), asyncio.timeout(3):  # type: ignore[arg-type]
        while dispatch.passes < 6:
            await asyncio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records if record.name == "api.relay"] == [
        "orders wait: temporal_unavailable",
        "orders are carried out again",
    ]


async def test_the_relay_outlives_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    """An order that cannot be carried out keeps nobody else from living."""
    dispatch = _Dispatch(ZeroDivisionError("sesame"))
    async with Relay(dispatch, Bell(), every_s=0.01).running(), asyncio.timeout(3):  # type: ignore[arg-type]
        while dispatch.passes < 3:
            await asyncio.sleep(0.01)
    assert "ZeroDivisionError" in caplog.text
    assert "sesame" not in caplog.text


async def test_the_relay_wakes_with_the_bell() -> None:
    """It does not wait out its five seconds."""
    dispatch, bell = _Dispatch(), Bell()
    async with Relay(dispatch, bell, every_s=60).running(), asyncio.timeout(3):  # type: ignore[arg-type]
        while dispatch.passes < 3:
            bell.ring()
            await asyncio.sleep(0.01)


def test_the_limits_are_those_that_are_documented() -> None:
    """30 s of patience, 64 KiB of fields, 10 and 30 tokens a minute."""
    limits = RequestLimits()
    assert (limits.window_s, limits.text_bytes, limits.parts) == (30.0, 65536, 1000)
    assert (limits.tokens_per_key, limits.tokens_per_peer) == (10, 30)
