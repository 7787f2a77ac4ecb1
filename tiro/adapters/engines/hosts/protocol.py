"""What a worker and its model host say to each other: length-prefixed msgpack over a socket, audio in a shared slab."""

from __future__ import annotations

import socket
import struct
from asyncio import IncompleteReadError, StreamReader
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard
from tiro.ports import Samples

PASS_S = 30
"""What a model hears in one pass; no window is longer."""
PASS_SAMPLES = PASS_S * SAMPLE_RATE_HZ
WINDOWS_A_PASS = 8
"""Windows that may share the time of one pass, where they are short."""

Slab = NDArray[np.float32]
"""Samples, the same memory in both processes."""

_LENGTH = struct.Struct(">I")
_LARGEST = 64 * 1024 * 1024


class Spec(msgspec.Struct, frozen=True):
    """What a host is to load: `loader` is `module:function`, called with `config`; it gives a Model.

    `max_batch`: passes whose audio it takes at once. `ahead`: it prepares the next batch while it hears one, for which it needs more
    than one core. `beside`: there is room for a second one of its kind for a while; on a card that it fills there is none.
    """

    loader: str
    config: dict[str, Any]
    max_batch: int
    ahead: bool = False
    beside: bool = True

    @property
    def max_samples(self) -> int:
        """The audio of a batch."""
        return self.max_batch * PASS_SAMPLES

    @property
    def max_windows(self) -> int:
        """The windows of a batch."""
        return self.max_batch * WINDOWS_A_PASS

    @property
    def parts(self) -> int:
        """Batches that lie in its slab at once."""
        return 2 if self.ahead else 1

    @property
    def slab_bytes(self) -> int:
        return 4 * self.parts * self.max_samples


class Ask(msgspec.Struct, frozen=True):
    """What all windows of a batch are asked. `detect`: only the language."""

    options: EngineOptions = EngineOptions()
    detect: bool = False


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The host has loaded its model."""

    pid: int
    model: str
    max_batch: int


class WindowRef(msgspec.Struct, frozen=True):
    """Where a window lies in the slab: its first sample, and how many there are."""

    start: int
    size: int


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Work. The host is killed when it has not answered `deadline_s` after it could begin."""

    id: int
    deadline_s: float
    windows: tuple[WindowRef, ...]
    ask: Ask


class Answer(msgspec.Struct, frozen=True):
    """For one window: what was heard, or the languages, or that the model raised an error."""

    heard: Heard | None = None
    languages: dict[str, float] | None = None
    failed: bool = False


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The answers to a batch, in the order of its windows."""

    id: int
    answers: tuple[Answer, ...]
    compute_s: float
    rss_bytes: int


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Each second: alive, and how large."""

    rss_bytes: int


FromHost = Hello | Done | Ping


class Model(Protocol):
    """What a loader gives: a model that answers windows that share their options.

    A batch has up to `max_batch` x 30 s of audio in up to `max_batch` x 8 windows: how many passes that takes is the model's business.
    """

    name: str

    def prepare(self, windows: list[Samples]) -> Any:
        """What the model makes of the audio before it listens (features), by CPU alone. May run beside `transcribe` of another batch.

        The windows lie in the slab until the batch is answered.
        """
        ...

    def transcribe(self, prepared: Any, options: EngineOptions) -> list[Heard]:
        """One answer per window, in order."""
        ...

    def detect(self, prepared: Any) -> list[dict[str, float]]:
        """Language code -> probability, per window."""
        ...


_FROM_HOST = msgspec.msgpack.Decoder(FromHost)
_BATCH = msgspec.msgpack.Decoder(Batch)


def framed(message: Hello | Batch | Done | Ping) -> bytes:
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


async def from_host(reader: StreamReader) -> FromHost | None:
    """The host's next message; None when it is gone or what it says cannot be understood."""
    try:
        (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return _FROM_HOST.decode(await reader.readexactly(size)) if size <= _LARGEST else None
    except (IncompleteReadError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def next_batch(connection: socket.socket) -> Batch | None:
    """The parent's next batch; None when it is gone."""
    head = _exactly(connection, _LENGTH.size)
    body = _exactly(connection, _LENGTH.unpack(head)[0]) if head is not None else None
    return None if body is None else _BATCH.decode(body)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < size:
        try:
            piece = connection.recv(size - len(pieces))
        except OSError:
            return None
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)
