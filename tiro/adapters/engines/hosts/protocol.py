"""What a worker and its model host say to each other: length-prefixed msgpack over a socket, audio in a shared slab of slots."""

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

SLOT_S = 30
SLOT_SAMPLES = SLOT_S * SAMPLE_RATE_HZ
SLOT_BYTES = SLOT_SAMPLES * 4

Slab = NDArray[np.float32]
"""Slots x samples, the same memory in both processes."""

_LENGTH = struct.Struct(">I")
_LARGEST = 64 * 1024 * 1024


class Spec(msgspec.Struct, frozen=True):
    """What a host is to load: `loader` is `module:function`, called with `config`; it gives a Model."""

    loader: str
    config: dict[str, Any]
    max_batch: int
    nice: int = 10


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
    """Where a window lies: slot, and how many samples of it count."""

    slot: int
    size: int


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Work. The host is killed when it has not answered `deadline_s` after it was sent."""

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
    """What a loader gives: a model that answers windows that share their options."""

    name: str

    def transcribe(self, windows: list[Samples], options: EngineOptions) -> list[Heard]:
        """One answer per window, in order."""
        ...

    def detect(self, windows: list[Samples]) -> list[dict[str, float]]:
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
