"""A decoder child that misbehaves as the file tells it: the first word of the file is what it does."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tiro.adapters.media.decoder_child import main
from tiro.adapters.media.growth import Growth
from tiro.adapters.media.protocol import Block, End, Frame, Order
from tiro.model.media import MediaProbe

PROBE = MediaProbe("wav", "pcm_s16le", 16_000, 1, None)


def spin() -> None:
    while True:
        pass


def write_a_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1 << 20))
        file.flush()


def breed() -> None:
    while True:
        os.fork()


def fill_the_disk() -> None:
    with Path("decoded.raw").open("wb") as file:
        for _ in range(100):
            file.truncate(1 << 30)


def hands() -> str:
    """What this process holds besides the three standard streams."""
    held = []
    for descriptor in range(3, 32):
        with contextlib.suppress(OSError):
            kind = "a pipe" if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else "a file"
            held.append(kind if kind == "a pipe" or may_write(descriptor) else f"{kind}, not to be written")
    return "; ".join(sorted(held))


def may_write(descriptor: int) -> bool:
    try:
        os.write(descriptor, b"x")
    except OSError as refused:
        return refused.errno != errno.EBADF
    return True


DEEDS: dict[str, Callable[[], object]] = {
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hoard": lambda: [bytearray(1 << 26) for _ in range(64)],
    "spin": spin,
    "write": write_a_file,
    "breed": breed,
    "fill": fill_the_disk,
    "thread": lambda: threading.Thread(target=spin).start(),
    "call": lambda: socket.create_connection(("127.0.0.1", 9)),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "murder": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "flood": lambda: sys.stdout.write("x" * (64 << 20)) and sys.stdout.flush(),
    "sleep": lambda: time.sleep(600),
}


def decode(source: int, growth: Growth | None, order: Order, emit: Callable[[Frame], None]) -> None:
    word = os.read(source, 100).decode().split()[0]
    emit(msgspec.structs.replace(PROBE, codec=hands()) if word == "hands" else PROBE)
    if word in DEEDS:
        DEEDS[word]()
    match word:
        case "huge":
            emit(Block(1, bytes((1 << 20) + 2)))
        case "odd":
            emit(Block(2, bytes(6)))
        case "twice":
            emit(PROBE)
        case "uncounted":
            emit(Block(1, bytes(32_000)))
            emit(End(1, 0, ()))
        case "long":
            for _ in range(60):
                emit(Block(1, b"\0\7" * 32_000))
            emit(End(60 * 32_000, 0, ()))
            return
        case "endless":
            while True:
                emit(Block(1, b"\1\2" * 16_000))
    emit(Block(1, b"\0\7" * 32_000))
    emit(End(32_000, 0, ()))


if __name__ == "__main__":
    main(decode)
