"""How much may still be fetched? Shared by all addresses that are opened side by side, so that together they bring no more."""

from __future__ import annotations

import threading

from tiro.model.blob import BlobRef
from tiro.model.errors import Permanent
from tiro.ports import BlobWriter


class NoRoom(Permanent):
    """What ends a batch whose files are more than it may hold."""

    code = "batch_too_large"


class Room:
    """Bytes that are left; taken by threads."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes
        self._lock = threading.Lock()

    def take(self, size_bytes: int) -> None:
        """Raises NoRoom when so much is not left."""
        with self._lock:
            if size_bytes > self._left_bytes:
                raise NoRoom
            self._left_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        """They have come to nothing."""
        with self._lock:
            self._left_bytes += size_bytes


class RoomWriter:
    """A writer whose bytes are taken from the room before they are written, and given back when nothing comes of them."""

    def __init__(self, writer: BlobWriter, room: Room) -> None:
        self._writer = writer
        self._room = room
        self._taken_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._writer.size_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes. Raises NoRoom, and as the writer."""
        self._room.take(len(data))
        self._taken_bytes += len(data)
        self._writer.write(data)

    def commit(self) -> BlobRef:
        """They are there, and stay taken."""
        ref = self._writer.commit()
        self._taken_bytes = 0
        return ref

    def abort(self) -> None:
        """Forget the bytes."""
        self._writer.abort()
        self._room.give_back(self._taken_bytes)
        self._taken_bytes = 0
