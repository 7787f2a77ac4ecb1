"""How does the app listen? uvicorn's settings: no banner, no trust in forwarded headers, nothing kept open for nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.arriving import take_over
from api.edge import HEADERS_BYTES, Edge

_LEAST_READ_BYTES = 30 << 10
"""Of an answer, in each wait: as much as a sender must bring."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits so long for a request's headers, for the rest of what is not read any more, or for the reader of an
    answer, and no longer.
    """

    within_s: ClassVar[float] = 30.0
    _waiting: asyncio.TimerHandle | None = None
    _unread_bytes = 0
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the class above
        super().connection_made(transport)
        # the last of an answer lies with the kernel, which would keep it for ever for a peer that acknowledges and never reads
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self.within_s * 1000))
        self._wait()

    def pause_writing(self) -> None:
        """An answer is larger than what may wait unread: from now on it must be read at some pace."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._unwatch()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.ERROR:
            return
        if self._waiting is None and self._idle():
            self._wait()
        super().data_received(data)
        if not self._idle():
            self._calm()
            take_over(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Bytes that are no request are answered as everything else is; nothing is said in the middle of an answer."""
        if self.cycle is not None:
            # whoever reads this body learns that no more will come; what it still answers goes nowhere
            self.cycle.disconnected = self.cycle.response_complete = True
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        start, body = self.config.app.malformed()  # type: ignore[union-attr]  # server_config takes nothing but an Edge
        headers = [*self.server_state.default_headers, *start["headers"], (b"connection", b"close")]
        for event in (h11.Response(status_code=start["status"], headers=headers), h11.Data(body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        # to close with something unread would take the answer back: the rest is let in for a while, and dropped
        self.transport.write_eof()
        if self._waiting is None:
            self._wait()

    def _unsupported_upgrade_warning(self) -> None:
        """A stranger's wish for WebSocket is answered like any other; the log need not advise to install a library."""

    def _watch(self) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.within_s, self._read_on)

    def _read_on(self) -> None:
        """While this is looked at nothing is added, so what was read is what is gone."""
        if self._unread_bytes - self.transport.get_write_buffer_size() < _LEAST_READ_BYTES:
            self.transport.abort()
        else:
            self._watch()

    def _unwatch(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _idle(self) -> bool:
        """No request is being answered: what comes in is headers, or something that nobody reads any more."""
        return bool(getattr(self.cycle, "response_complete", True))

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.within_s, self.transport.close)

    def _calm(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def server_config(app: Edge, host: str, port: int, *, stop_within_s: int = 10) -> uvicorn.Config:
    """Plain HTTP for loopback or for the proxy in front, which ends TLS. X-Forwarded-For moves nothing; upgrades are refused."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=stop_within_s,
        h11_max_incomplete_event_size=HEADERS_BYTES,
        backlog=512,
    )
