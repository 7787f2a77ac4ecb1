"""How is a checked address connected to? Sockets for the blocking side whose every wait listens to a `Patience`, and the
network backends that put them, or anyio's, below httpx2. Names never reach a connect call: only addresses the guard returned.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import httpcore2

from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import SLICE_S, Patience

T = TypeVar("T")
Options = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]
CONNECT_S = 10.0
FOREVER_S = 10 * 365 * 86_400.0


def dial(
    guard: Guard, host: str, port: int, patience: Patience, timeout_s: float = CONNECT_S, *, plain: bool
) -> socket.socket:
    """A non-blocking TCP socket to the first address of the name that answers; all of them were checked before.

    Raises what `Guard.resolve` raises, OSError when none answers, TimeoutError.
    """
    failed: OSError = OSError("no address")
    for address in guard.resolve(host, port, patience, plain=plain):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect_ex((str(address), port))
            _wait(sock, select.POLLOUT, patience, timeout_s)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error == 0:
                return sock
            failed = OSError(error, "connect")
        except OSError as wrong:
            failed = wrong
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise failed


def _wait(sock: socket.socket, events: int, patience: Patience, timeout_s: float | None) -> None:
    """Until the socket is ready. Raises TimeoutError, and what `Patience.check` raises."""
    until = time.monotonic() + (FOREVER_S if timeout_s is None else timeout_s)
    poll = select.poll()
    poll.register(sock, events)
    while True:
        patience.check()
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if poll.poll(min(SLICE_S, left) * 1000):
            return


class Stream(httpcore2.NetworkStream):
    """A TCP or TLS connection for httpx2."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes, or none at the end."""
        try:
            return self._try(lambda: self._sock.recv(max_bytes), select.POLLIN, timeout)
        except TimeoutError:
            raise httpcore2.ReadTimeout from None
        except OSError as wrong:
            raise httpcore2.ReadError(type(wrong).__name__) from wrong

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of the bytes."""
        try:
            while buffer:
                sent = self._try(lambda data=buffer: self._sock.send(data), select.POLLOUT, timeout)  # type: ignore[misc]
                buffer = buffer[sent:]
        except TimeoutError:
            raise httpcore2.WriteTimeout from None
        except OSError as wrong:
            raise httpcore2.WriteError(type(wrong).__name__) from wrong

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Shake hands; the certificate must be for `server_hostname`, the name that was asked for."""
        try:
            wrapped = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._sock = wrapped
            self._try(wrapped.do_handshake, select.POLLIN, timeout)
        except TimeoutError:
            self.close()
            raise httpcore2.ConnectTimeout from None
        except OSError as wrong:
            self.close()
            raise httpcore2.ConnectError(type(wrong).__name__) from wrong
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks of a stream."""
        match info:
            case "ssl_object":
                return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
            case "socket":
                return self._sock
            case "is_readable":
                poll = select.poll()
                poll.register(self._sock, select.POLLIN)
                return bool(poll.poll(0))
            case _:
                return None

    def _try(self, step: Callable[[], T], events: int, timeout: float | None) -> T:
        while True:
            self._patience.check()
            try:
                return step()
            except (BlockingIOError, ssl.SSLWantReadError):
                _wait(self._sock, events, self._patience, timeout)
            except ssl.SSLWantWriteError:
                _wait(self._sock, select.POLLOUT, self._patience, timeout)


class Backend(httpcore2.NetworkBackend):
    """Connects httpx2's blocking side. `plain`: for http, which only allowed addresses may speak."""

    def __init__(self, guard: Guard, patience: Patience | None = None, *, plain: bool) -> None:
        self._guard = guard
        self._plain = plain
        self._patience = patience or Patience(FOREVER_S)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options | None = None,
    ) -> httpcore2.NetworkStream:
        """To a checked address of `host`."""
        try:
            sock = dial(self._guard, host, port, self._patience, timeout or CONNECT_S, plain=self._plain)
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None
        except OSError as wrong:
            raise httpcore2.ConnectError(type(wrong).__name__) from wrong
        return Stream(sock, self._patience)


class AsyncBackend(httpcore2.AsyncNetworkBackend):
    """Connects httpx2's async side, through anyio, to checked addresses."""

    def __init__(self, guard: Guard, *, plain: bool) -> None:
        self._guard = guard
        self._plain = plain
        self._below = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore2's signature)
        local_address: str | None = None,
        socket_options: Options | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To a checked address of `host`."""
        failed: Exception = httpcore2.ConnectError("no address")
        for address in await self._guard.resolve_async(host, port, timeout or CONNECT_S, plain=self._plain):
            try:
                return await self._below.connect_tcp(str(address), port, timeout)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as wrong:
                failed = wrong
        raise failed
