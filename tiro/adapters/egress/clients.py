"""How does the house speak http with the world? httpx2 clients that ignore the environment, follow nothing by themselves and
connect through the guard.
"""

from __future__ import annotations

import logging
import ssl

import httpcore2
import httpx2

from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.wire import AsyncBackend, Backend

USER_AGENT = "Tiro"
MAX_HOP_CHARS = 8192
"""A redirect's target, which nobody typed, may be longer than what we take from a person."""
_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=10, keepalive_expiry=30.0)


class _Guarded(httpx2.HTTPTransport):
    """Every request's URL is checked again here, so that a followed redirect is too."""

    def __init__(self, guard: Guard, context: ssl.SSLContext, patience: Patience | None, *, plain: bool) -> None:
        super().__init__(verify=context, trust_env=False)
        self._guard = guard
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=Backend(guard, patience, plain=plain),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._guard.parse(str(request.url), MAX_HOP_CHARS)
        return super().handle_request(request)


class _AsyncGuarded(httpx2.AsyncHTTPTransport):
    def __init__(self, guard: Guard, context: ssl.SSLContext, *, plain: bool) -> None:
        super().__init__(verify=context, trust_env=False)
        self._guard = guard
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=AsyncBackend(guard, plain=plain),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._guard.parse(str(request.url), MAX_HOP_CHARS)
        return await super().handle_async_request(request)


def guarded_client(
    guard: Guard,
    *,
    timeout: httpx2.Timeout | float = 10.0,
    trusted: bool = False,
    patience: Patience | None = None,
    verify: ssl.SSLContext | bool = True,
    base_url: str = "",
    headers: dict[str, str] | None = None,
) -> httpx2.Client:
    """A blocking client. A refused address raises SourceRefused out of the call; `patience` ends every wait of it.

    `trusted`: for addresses the operator configured (an engine's server), which may be private or plain http: nothing is
    checked, but the environment's proxies and credentials are ignored and redirects are not followed all the same.
    """
    _hush()
    context = _context(verify)
    if trusted:
        return httpx2.Client(
            timeout=timeout,
            trust_env=False,
            verify=context,
            base_url=base_url,
            headers=_headers(headers),
            limits=_LIMITS,
        )
    return httpx2.Client(
        timeout=timeout,
        trust_env=False,
        base_url=base_url,
        headers=_headers(headers),
        transport=_Guarded(guard, context, patience, plain=False),
        mounts={"http://": _Guarded(guard, context, patience, plain=True)},
    )


def guarded_async_client(
    guard: Guard,
    *,
    timeout: httpx2.Timeout | float = 10.0,
    trusted: bool = False,
    verify: ssl.SSLContext | bool = True,
    base_url: str = "",
    headers: dict[str, str] | None = None,
) -> httpx2.AsyncClient:
    """The async twin of `guarded_client`."""
    _hush()
    context = _context(verify)
    if trusted:
        return httpx2.AsyncClient(
            timeout=timeout,
            trust_env=False,
            verify=context,
            base_url=base_url,
            headers=_headers(headers),
            limits=_LIMITS,
        )
    return httpx2.AsyncClient(
        timeout=timeout,
        trust_env=False,
        base_url=base_url,
        headers=_headers(headers),
        transport=_AsyncGuarded(guard, context, plain=False),
        mounts={"http://": _AsyncGuarded(guard, context, plain=True)},
    )


def _headers(more: dict[str, str] | None) -> dict[str, str]:
    return {"User-Agent": USER_AGENT} | (more or {})


def _hush() -> None:
    """These write every URL, with its signature, into the log."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    return httpx2.create_ssl_context(verify=verify, trust_env=False)
