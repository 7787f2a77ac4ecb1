"""How the worker, the zygote and a decoder child talk: orders over a control socket, frames over one pipe per child."""

from __future__ import annotations

import struct
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.model.errors import MediaReason
from tiro.model.media import MediaProbe

Pcm = NDArray[np.int16]
"""Shape (channels, samples), 16 kHz."""

HEADER = struct.Struct("<cI")
MAX_BODY_BYTES = 1 << 20
MAX_ORDER_BYTES = 4096
MAX_SOURCES = 32
"""Files of one order."""
BLOCK_SAMPLES = 65_536
"""Samples per channel of the largest block; two channels of it are far under `MAX_BODY_BYTES`."""

HELLO, PROBE, BLOCK, END, REFUSED = b"H", b"P", b"B", b"E", b"R"


class Order(msgspec.Struct, frozen=True, tag="order"):
    """Decode these files, one after the other. The message carries their descriptors, and last that of the pipe to write.

    Limits are each file's, but `cpu_s` is the child's. `growing`: the one file still comes in; a pipe that tells of it follows its
    descriptor, and `size_bytes` is what it will have, where that is known.
    """

    token: int
    max_duration_s: float
    split_channels: bool
    probe_only: bool
    cpu_s: int
    memory_bytes: int
    moving_pictures: bool = True
    growing: bool = False
    size_bytes: int | None = None


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """End the child of that order, if it still runs."""

    token: int


class End(msgspec.Struct, frozen=True):
    """The child has read everything there was of a file."""

    samples: int
    damaged_packets: int
    warnings: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    """The child will not decode this file."""

    reason: MediaReason


class Block(msgspec.Struct, frozen=True):
    """Some PCM."""

    channels: Literal[1, 2]
    pcm: bytes

    def array(self) -> Pcm:
        """Shape (channels, samples). ValueError when the bytes do not divide."""
        return np.frombuffer(self.pcm, "<i2").reshape(self.channels, -1)


Frame = MediaProbe | Block | End | Refused
_BODIES: dict[bytes, type[MediaProbe | Block | End | Refused]] = {
    PROBE: MediaProbe,
    BLOCK: Block,
    END: End,
    REFUSED: Refused,
}
_KINDS = {body: kind for kind, body in _BODIES.items()}


def pack(frame: Frame) -> bytes:
    """One frame, header and body."""
    body = msgspec.msgpack.encode(frame)
    return HEADER.pack(_KINDS[type(frame)], len(body)) + body


def unpack(kind: bytes, body: bytes) -> Frame:
    """ValueError (msgspec's included) for anything that `pack` did not write."""
    if kind not in _BODIES:
        raise ValueError("unknown kind of frame")
    return msgspec.msgpack.decode(body, type=_BODIES[kind])
