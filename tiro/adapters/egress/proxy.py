"""How is a program that connects by itself kept behind the guard? By a proxy on 127.0.0.1 that only it can use, and that
resolves, checks and connects for it, connection by connection.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx2

from tiro.adapters.egress.guard import Guard, port_of
from tiro.adapters.egress.patience import SLICE_S, Patience
from tiro.adapters.egress.wire import dial
from tiro.model.errors import SourceRefused, TiroError, Transient

_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 128 * 1024
_HEAD_S = 10.0
_IDLE_S = 60.0
_MAX_CONNECTIONS = 32
_HOP_HEADERS = (b"proxy-authorization:", b"proxy-connection:", b"connection:", b"keep-alive:")


class FilteringProxy:
    """An http proxy (CONNECT and absolute GETs) that lives as long as its `with` block and passes at most `quota_bytes` back.

    `credential` is new each time. `refused` says why the guard turned a connection down, `overrun` that the quota was spent.
    """

    def __init__(self, guard: Guard, patience: Patience, quota_bytes: int) -> None:
        self._guard = guard
        self._patience = patience
        self._left_bytes = quota_bytes
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_MAX_CONNECTIONS)
        self.credential = secrets.token_hex(16)
        self.port: int = self._listener.getsockname()[1]
        self.refused: str | None = None
        self.overrun = False

    @property
    def url(self) -> str:
        """What the program is told. A secret."""
        return f"http://tiro:{self.credential}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._listener.settimeout(SLICE_S)
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _spawn(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, name="egress-proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if len(self._threads) > _MAX_CONNECTIONS:
                client.close()
                continue
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(_HEAD_S)
                head, rest = _read_head(client)
                method, target, headers = _parse(head)
                if not self._may(headers):
                    client.sendall(_answer(b"407 Proxy Authentication Required"))
                    return
                with self._upstream(client, method, target) as upstream:
                    if method == b"CONNECT":
                        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    else:
                        rest = _forwarded(method, target, headers) + rest
                    self._relay(client, upstream, rest)
            except (OSError, TiroError, ValueError):
                return

    def _may(self, headers: list[bytes]) -> bool:
        expected = b"Basic " + base64.b64encode(f"tiro:{self.credential}".encode())
        given = [line.partition(b":")[2].strip() for line in headers if line.lower().startswith(_HOP_HEADERS[0])]
        return len(given) == 1 and hmac.compare_digest(given[0], expected)

    def _upstream(self, client: socket.socket, method: bytes, target: bytes) -> socket.socket:
        connect = method == b"CONNECT"
        text = target.decode("ascii")
        try:
            url = self._guard.parse(f"https://{text}" if connect else text)
            if not connect and url.scheme != "http":
                raise SourceRefused("scheme")
            return dial(self._guard, url.host, port_of(url), self._patience, plain=not connect)
        except SourceRefused as refused:
            self.refused = self.refused or refused.reason
            client.sendall(_answer(b"403 Forbidden"))
            raise
        except (OSError, Transient):
            client.sendall(_answer(b"502 Bad Gateway"))
            raise

    def _relay(self, client: socket.socket, upstream: socket.socket, first: bytes) -> None:
        """Bytes both ways until one side ends, falls silent, or the quota is spent."""
        upstream.settimeout(_IDLE_S)
        client.settimeout(_IDLE_S)
        upstream.sendall(first)
        poll = select.poll()
        for sock in (client, upstream):
            poll.register(sock, select.POLLIN)
        silent_s = 0.0
        while silent_s < _IDLE_S and not self._ended.is_set():
            self._patience.check()
            ready = poll.poll(SLICE_S * 1000)
            silent_s = 0.0 if ready else silent_s + SLICE_S
            for number, _ in ready:
                back = number == upstream.fileno()
                data = (upstream if back else client).recv(_CHUNK_BYTES)
                if not data or (back and not self._spend(len(data))):
                    return
                (client if back else upstream).sendall(data)

    def _spend(self, size_bytes: int) -> bool:
        with self._lock:
            self._left_bytes -= size_bytes
            self.overrun = self.overrun or self._left_bytes < 0
            return not self.overrun


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(_HEAD_BYTES)
        if not chunk or len(data) > _HEAD_BYTES:
            raise ValueError("head")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _parse(head: bytes) -> tuple[bytes, bytes, list[bytes]]:
    request, *headers = head.split(b"\r\n")
    method, target, _ = request.split(b" ")
    return method, target, headers


def _forwarded(method: bytes, target: bytes, headers: list[bytes]) -> bytes:
    """The request as the origin expects it: one per connection, so that the next one is checked again."""
    path = httpx2.URL(target.decode("ascii")).raw_path
    kept = [line for line in headers if not line.lower().startswith(_HOP_HEADERS)]
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", *kept, b"Connection: close", b"", b""])


def _answer(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
