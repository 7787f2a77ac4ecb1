"""What engines behind somebody's HTTP API have in common: how audio goes out, and what their refusals mean."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx2
import msgspec
import numpy as np

from tiro.adapters.engines.abilities import Abilities
from tiro.model.errors import Permanent, QuotaExceeded, TiroError, Transient
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import Task
from tiro.ports import Samples

HttpFactory = Callable[[], httpx2.AsyncClient]
UNMEASURED = 0.5
"""Confidence of words about which the server says nothing."""

_OUT_OF_MONEY = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "quota_exceeded",
    "insufficient_balance",
    "payment_required",
}
_IN_FLIGHT = 8
_TIMEOUT = httpx2.Timeout(300.0, connect=10.0)
_RETRY_AFTER_LIMIT_S = 300.0
_LARGEST_BYTES = 16 << 20
_T = TypeVar("_T")


class _Inner(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None


class _Fault(msgspec.Struct):
    error: _Inner | str | None = None


class HostedEngine:
    """Sends each window to a server; several at once. Subclasses say how a request looks."""

    def __init__(self, abilities: Abilities, base_url: str, headers: dict[str, str], http: HttpFactory) -> None:
        self._abilities = abilities
        self.id = abilities.id
        self.model = abilities.model
        self.max_window_s = abilities.max_window_s
        self.windows_in_flight = _IN_FLIGHT
        self._base = base_url.rstrip("/")
        self._headers = headers
        self._http = http
        self._client: httpx2.AsyncClient | None = None
        self._slots = asyncio.Semaphore(_IN_FLIGHT)

    def supports(self, language: str | None, task: Task) -> bool:
        return self._abilities.supports(language, task)

    async def start(self) -> None:
        if self._client is None:
            self._client = self._http()

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def each(self, windows: Sequence[Samples], hear: Callable[[Samples], Awaitable[_T]]) -> list[_T]:
        """One answer per window, in order; the first failure ends the rest."""

        async def one(window: Samples) -> _T:
            async with self._slots:
                return await hear(window)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(window)) for window in windows]
        except* TiroError as failed:
            raise next(error for error in failed.exceptions if isinstance(error, TiroError)) from None
        return [task.result() for task in tasks]

    async def request(self, method: str, path: str, **content: object) -> httpx2.Response:
        """A good answer; a redirect is none. Raises Transient, QuotaExceeded, Permanent; says nothing of the address or the body."""
        if self._client is None:
            raise Transient("engine_stopped")
        try:
            async with self._client.stream(
                method,
                self._base + path,
                headers=self._headers,
                timeout=_TIMEOUT,
                **content,  # type: ignore[arg-type]
            ) as coming:
                answer = await _whole(coming)
        except (httpx2.HTTPError, OSError):
            raise Transient("engine_unreachable") from None
        except httpx2.InvalidURL:
            # made with an id that the server gave
            raise Transient("engine_error") from None
        if answer.status_code >= 300:
            raise self.refused(answer)
        return answer

    def refused(self, answer: httpx2.Response) -> TiroError:
        """What this server's refusal means."""
        return refusal(answer)


def refusal(answer: httpx2.Response, out_of_money: bool = False) -> TiroError:
    """What an HTTP refusal means: who may not, who has no money, who should come again, who is wrong."""
    status = answer.status_code
    if out_of_money or status == 402 or (status in {400, 403, 429} and _codes(answer) & _OUT_OF_MONEY):
        return QuotaExceeded(message="The engine's provider refuses for money.")
    if status in {401, 403}:
        return Permanent("engine_refused", "The engine's server refuses our key.")
    if status == 429:
        return Transient("engine_busy", **_retry_after(answer))
    if status in {408, 409, 425} or status >= 500:
        return Transient("engine_unreachable", **_retry_after(answer))
    return Permanent("engine_rejected", "The engine's server rejects the request.", status=status)


async def _whole(coming: httpx2.Response) -> httpx2.Response:
    """Status, body and the one header that counts. Raises Transient `engine_error` where the body is longer than any transcript."""
    body = bytearray()
    async for piece in coming.aiter_bytes():
        body += piece
        if len(body) > _LARGEST_BYTES:
            raise Transient("engine_error", "The engine's server answers more than anybody can say.")
    told = {name: coming.headers[name] for name in ("retry-after",) if name in coming.headers}
    return httpx2.Response(coming.status_code, headers=told, content=bytes(body))


def decoded(answer: httpx2.Response, type_: type[_T]) -> _T:
    """The JSON answer as this type; Transient `engine_error` when it is something else."""
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Transient("engine_error") from None


def wav(window: Samples) -> bytes:
    """16-bit WAV, 16 kHz mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((np.clip(window, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _codes(answer: httpx2.Response) -> set[str]:
    try:
        fault = msgspec.json.decode(answer.content, type=_Fault)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return {str(fault.error.code), str(fault.error.type)} if isinstance(fault.error, _Inner) else set()


def _retry_after(answer: httpx2.Response) -> dict[str, Any]:
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return {}
    return {"retry_after_s": min(max(0.0, seconds), _RETRY_AFTER_LIMIT_S)}
