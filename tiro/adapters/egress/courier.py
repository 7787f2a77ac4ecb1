"""How does a webhook's body reach its receiver? One POST through the guard, with a deadline for the whole of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping

import httpx2

from tiro.adapters.egress.clients import USER_AGENT, authorities, guarded_async_client
from tiro.adapters.egress.guard import Guard
from tiro.model.errors import SourceRefused, Transient
from tiro.ports import Answer

MAX_URL_CHARS = 2048
MAX_ANSWER_BYTES = 4096
MAX_PER_HOST = 4
RESOLVE_S = 2.0
_LINGER_S = 1.0
_UNKNOWN = {"unknown_host"}


class WebCourier:
    """The Courier port. At most four posts to one host are under way in this process; the others wait, outside their timeout."""

    def __init__(self, guard: Guard, verify: ssl.SSLContext | None = None, per_host: int = MAX_PER_HOST) -> None:
        self._guard = guard
        self._verify: ssl.SSLContext = verify or authorities()
        self._per_host = per_host
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}

    def check(self, url: str) -> None:
        """Asks the resolver, for two seconds at most: call it from a thread. A name nobody knows now may be known later."""
        self._guard.check(url, RESOLVE_S, MAX_URL_CHARS)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """A redirect is an answer like any other. Codes: timeout, refused, reset, tls, forbidden_address, dns, protocol."""
        try:
            target = self._guard.parse(url, MAX_URL_CHARS)
        except SourceRefused:
            return Answer(None, "forbidden_address", 0)
        async with self._turn(target.host):
            began = time.monotonic()
            status, error = await self._attempt(target, headers, body, timeout_s)
            return Answer(status, error, round((time.monotonic() - began) * 1000))

    async def _attempt(
        self, target: httpx2.URL, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int | None, str | None]:
        try:
            return await self._send(target, headers, body, timeout_s), None
        except TimeoutError:
            return None, "timeout"
        except SourceRefused as refused:
            return None, "dns" if refused.reason in _UNKNOWN else "forbidden_address"
        except Transient as trouble:
            return None, "timeout" if trouble.code == "source_timeout" else "dns"
        except (httpx2.RequestError, httpx2.InvalidURL) as wrong:
            return None, _code(wrong)

    async def _send(self, target: httpx2.URL, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
        ours = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        async with guarded_async_client(
            self._guard, timeout=timeout_s, verify=self._verify, headers={**headers, **ours}
        ) as client:
            began = time.monotonic()
            async with asyncio.timeout(timeout_s):
                response = await client.send(client.build_request("POST", target, content=body), stream=True)
            try:
                await _listen(response, min(_LINGER_S, timeout_s - (time.monotonic() - began)))
            finally:
                await response.aclose()
            return response.status_code

    @contextlib.asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        turns, waiting = self._hosts.get(host) or (asyncio.Semaphore(self._per_host), 0)
        self._hosts[host] = (turns, waiting + 1)
        try:
            async with turns:
                yield
        finally:
            turns, waiting = self._hosts[host]
            if waiting == 1:
                del self._hosts[host]
            else:
                self._hosts[host] = (turns, waiting - 1)


async def _listen(response: httpx2.Response, left_s: float) -> None:
    """A few bytes of the answer, so that the receiver is not cut off in mid-sentence. Its status already stands."""
    taken = 0
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(left_s):
            async for chunk in response.aiter_raw(MAX_ANSWER_BYTES):
                taken += len(chunk)
                if taken >= MAX_ANSWER_BYTES:
                    return


def _code(error: BaseException) -> str:
    """What broke, by the types of what it hangs on."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for kinds, code in _CODES:
        if any(isinstance(found, kinds) for found in chain):
            return code
    return "protocol"


_CODES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError,), "tls"),
    ((socket.gaierror,), "dns"),
    ((httpx2.TimeoutException,), "timeout"),
    ((ConnectionRefusedError,), "refused"),
    ((ConnectionError, httpx2.ReadError, httpx2.WriteError), "reset"),
    ((httpx2.ConnectError,), "refused"),
)
