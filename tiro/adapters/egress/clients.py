"""How does the house speak http with the world? httpx2 clients that ignore the environment, follow nothing by themselves and
connect through the guard, or to the one server that the operator configured.
"""

from __future__ import annotations

import functools
import logging
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from tiro.adapters.egress.guard import Guard, origin_of
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.wire import AsyncBackend, Backend
from tiro.model.errors import SourceRefused

USER_AGENT = "Tiro"
_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=10, keepalive_expiry=30.0)
_Timeout = httpx2.Timeout | float


class _Guarded(httpx2.HTTPTransport):
    """Every request's URL is checked again here, so that a followed redirect is too."""

    def __init__(self, guard: Guard, context: ssl.SSLContext, patience: Patience | None, *, plain: bool) -> None:
        super().__init__(verify=context, trust_env=False)
        self._guard = guard
        self._pool = httpcore2.ConnectionPool(network_backend=Backend(guard, patience, plain=plain), **_pool(context))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._guard.parse(str(request.url))
        return super().handle_request(request)


class _AsyncGuarded(httpx2.AsyncHTTPTransport):
    def __init__(self, guard: Guard, context: ssl.SSLContext, *, plain: bool) -> None:
        super().__init__(verify=context, trust_env=False)
        self._guard = guard
        self._pool = httpcore2.AsyncConnectionPool(network_backend=AsyncBackend(guard, plain=plain), **_pool(context))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._guard.parse(str(request.url))
        return await super().handle_async_request(request)


class _Loyal(httpx2.AsyncHTTPTransport):
    """Speaks with the configured servers and with nobody they send it to."""

    def __init__(self, servers: Iterable[str], context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False, limits=_LIMITS)
        self._origins = frozenset(origin_of(httpx2.URL(server)) for server in servers)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if origin_of(request.url) not in self._origins:
            raise SourceRefused("forbidden_address")
        return await super().handle_async_request(request)


def guarded_client(
    guard: Guard,
    *,
    timeout: _Timeout = 10.0,
    patience: Patience | None = None,
    verify: ssl.SSLContext | bool = True,
    headers: dict[str, str] | None = None,
) -> httpx2.Client:
    """A blocking client. A refused address raises SourceRefused out of the call; `patience` ends every wait of it."""
    context = _context(verify)
    return httpx2.Client(
        timeout=timeout,
        trust_env=False,
        headers=_headers(headers),
        transport=_Guarded(guard, context, patience, plain=False),
        mounts={"http://": _Guarded(guard, context, patience, plain=True)},
    )


def guarded_async_client(
    guard: Guard,
    *,
    timeout: _Timeout = 10.0,
    verify: ssl.SSLContext | bool = True,
    headers: dict[str, str] | None = None,
) -> httpx2.AsyncClient:
    """The async twin of `guarded_client`."""
    context = _context(verify)
    return httpx2.AsyncClient(
        timeout=timeout,
        trust_env=False,
        headers=_headers(headers),
        transport=_AsyncGuarded(guard, context, plain=False),
        mounts={"http://": _AsyncGuarded(guard, context, plain=True)},
    )


def trusted_client(servers: Iterable[str], *, verify: ssl.SSLContext | bool = True) -> httpx2.AsyncClient:
    """For servers that the operator configured by address (an engine's): these may be private and speak plain http.

    Trust goes no further than their scheme, host and port: whatever else they name or redirect to raises SourceRefused.
    """
    return httpx2.AsyncClient(trust_env=False, headers=_headers(None), transport=_Loyal(servers, _context(verify)))


@functools.cache
def authorities() -> ssl.SSLContext:
    """Those who are believed by all. Reading them takes longer than most requests: once a process is enough."""
    return httpx2.create_ssl_context(trust_env=False)


def _pool(context: ssl.SSLContext) -> dict[str, Any]:
    return {
        "ssl_context": context,
        "max_connections": _LIMITS.max_connections,
        "max_keepalive_connections": _LIMITS.max_keepalive_connections,
        "keepalive_expiry": _LIMITS.keepalive_expiry,
    }


def _headers(more: dict[str, str] | None) -> dict[str, str]:
    return {"User-Agent": USER_AGENT} | (more or {})


def _context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Every client begins here; these loggers would write every URL, with its signature, into the log."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return authorities() if verify is True else httpx2.create_ssl_context(verify=verify, trust_env=False)
