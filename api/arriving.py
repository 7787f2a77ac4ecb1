"""How does a long body come in? Straight from the socket in large pieces, past what parses requests: only its length matters there.

Of an upload's CPU seconds a third went into passing bytes through that parser, which has nothing to find in them.
"""

from __future__ import annotations

import asyncio

from h11._readers import ContentLengthReader
from uvicorn.protocols.http.h11_impl import H11Protocol

LONG_BYTES = 1 << 20
"""What is still to come of a body that is worth it."""
PIECE_BYTES = 1 << 20
_PATIENCE_S = 0.005
"""What has come waits so long for a piece to be full."""


def take_over(request: H11Protocol) -> None:
    """Read the rest of the body that is coming in, if it is long and says how long."""
    reader = request.conn._reader  # noqa: SLF001 (h11 has no word for bytes that are read elsewhere)
    if isinstance(reader, ContentLengthReader) and _expected(reader) >= LONG_BYTES:
        request.transport.set_protocol(LongBody(request, reader))


class LongBody(asyncio.BufferedProtocol):
    """Has the connection until the body has come, or nobody wants it any more; whoever had it before hears of all else."""

    def __init__(self, request: H11Protocol, reader: ContentLengthReader) -> None:
        self._request = request
        self._reader = reader
        self._left_bytes = _expected(reader)
        self._piece = memoryview(bytearray(PIECE_BYTES))
        self._filled_bytes = 0
        self._soon: asyncio.TimerHandle | None = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """What follows the body is another request, and stays where it is."""
        return self._piece[self._filled_bytes : self._filled_bytes + self._left_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled_bytes += nbytes
        self._left_bytes -= nbytes
        if self._filled_bytes == PIECE_BYTES or not self._left_bytes:
            self._hand_over()
        elif self._soon is None:
            self._soon = self._request.loop.call_later(_PATIENCE_S, self._hand_over)

    def eof_received(self) -> None:
        self._request.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self._request.connection_lost(exc)

    def pause_writing(self) -> None:
        self._request.pause_writing()

    def resume_writing(self) -> None:
        self._request.resume_writing()

    def _hand_over(self) -> None:
        """To whoever reads the body; nothing more is read until that one asks for it."""
        self._calm()
        cycle = self._request.cycle
        if not cycle.response_complete:
            cycle.body += self._piece[: self._filled_bytes]
            self._request.flow.pause_reading()
            cycle.message_event.set()
        self._filled_bytes = 0
        if cycle.response_complete or not self._left_bytes:
            self._reader._remaining = self._left_bytes  # noqa: SLF001 (as above: here it learns of them)
            self._request.transport.set_protocol(self._request)
            self._request.handle_events()

    def _calm(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None


def _expected(reader: ContentLengthReader) -> int:
    """Bytes of the body that the parser has not seen."""
    return reader._remaining  # noqa: SLF001 (it says so nowhere else)
