"""What every answer carries, whoever gives it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.edge import BrokenOff, Edge
from api.faces import Cors, Face, json_answer
from tests.servers.api import Api
from tiro.adapters.system import SystemIds
from tiro.model.errors import TiroError
from tiro.model.ids import is_id

READ = "X-Request-Id, Retry-After, Idempotent-Replayed, Content-Disposition"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/jobs", 200),
        ("GET", "/jobs?limit=0", 400),
        ("GET", "/nothing/here", 404),
        ("PUT", "/jobs", 405),
        ("POST", "/auth/token", 415),
        ("OPTIONS", "/jobs", 204),
        ("GET", "/openapi.json", 200),
    ],
)
async def test_pages_of_any_origin_may_read_the_answer(api: Api, method: str, path: str, status: int) -> None:
    """Errors too, else a page sees none of them; credentials never."""
    answer = await api.http.request(method, path, headers={"Origin": "https://app.example"})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == READ
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_needs_no_key(api: Api) -> None:
    """And allows what the calls need."""
    asks = {"Authorization": "", "Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = await api.http.options("/jobs", headers=asks)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type, Idempotency-Key"
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert int(answer.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_the_admin_corner_is_closed_to_other_origins(api: Api, method: str) -> None:
    """Not even the preflight is let through."""
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with api.admin() as admin:
        answer = await admin.request(method, "/jobs", headers=asks)
    assert is_id("req", answer.headers["x-request-id"])
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_head_is_get_without_the_body(api: Api) -> None:
    """Same status and headers; Allow says so; an address without GET has no HEAD."""
    got, head = await api.http.get("/openapi.json"), await api.http.head("/openapi.json")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    refused = await api.http.put("/jobs")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await api.http.head("/auth/token")).status_code == 405


async def test_options_names_all_methods_of_an_address(api: Api) -> None:
    """The same as a refused method is told."""
    for path in ("/jobs", "/jobs/x", "/jobs/x/transcript", "/jobs/x/cancel", "/auth/token", "/health"):
        asked, refused = await api.http.options(path), await api.http.put(path)
        assert (asked.status_code, asked.content, refused.status_code) == (204, b"", 405)
        assert asked.headers["allow"] == refused.headers["allow"], path


@pytest.mark.parametrize("name", ["json", "txt", "srt", "vtt", "docx"])
@pytest.mark.promise("J32")
async def test_a_transcript_in_a_browser_does_nothing(api: Api, name: str) -> None:
    """Text of strangers: saved, not shown; its type is not guessed; as a page it would be sandboxed."""
    job_id = await api.submit()
    await api.complete(job_id)
    answer = await api.http.get(f"/jobs/{job_id}/transcript?format={name}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{job_id}.{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/auth/token", "/jobs/x/transcript", "/health", "/v1/listen", "/_admin/jobs"]
)
@pytest.mark.promise("J50")
async def test_a_websocket_finds_nothing_anywhere(api: Api, path: str) -> None:
    """A clean 404, with and without a key, on addresses that exist and that do not."""
    answer = await api.raw(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    told = msgspec.json.decode(body)
    assert told.get("code", told["error"]) == "not_found"


async def _answered(app: Any, path: str = "/jobs") -> list[dict[str, Any]]:
    """The messages that an Edge over this app sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    def answer(error: TiroError) -> Any:
        return json_answer({"error": error.code}, status=500)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "state": {}}
    edge = Edge(app, [Face(("/jobs",), (), answer, cors=Cors())], SystemIds())
    try:
        await edge({**scope, "http_version": "1.1"}, receive, send)  # type: ignore[arg-type]  # the least of a scope
    except BrokenOff:
        sent.append({"type": "broken off"})
    return sent


async def test_an_app_that_breaks_is_still_answered(caplog: pytest.LogCaptureFixture) -> None:
    """With the id that is in the log; the words of the error are in neither."""

    async def broken(*_: object) -> None:
        words = "semase"[::-1]
        raise ZeroDivisionError(words)

    start, body = await _answered(broken)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert (start["status"], body["body"]) == (500, b'{"error":"internal_error"}')
    assert headers["x-request-id"] in caplog.text
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["access-control-allow-origin"] == "*"
    assert "ZeroDivisionError" in caplog.text
    assert "esames" not in caplog.text


async def test_an_answer_that_breaks_in_the_middle_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    """A second answer inside of the first would look like its end; why it broke is logged without its words."""

    async def broken(_: object, __: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        words = "semase"[::-1]
        raise ZeroDivisionError(words)

    sent = await _answered(broken)
    assert [message["type"] for message in sent] == ["http.response.start", "broken off"]
    assert "ZeroDivisionError" in caplog.text
    assert "esames" not in caplog.text
