"""How is a recording decoded while it still comes in? It is written into a file, and whoever reads that is told how far it has come."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from tiro.model.blob import BlobRef
from tiro.model.errors import Transient
from tiro.ports import Blobs

T = TypeVar("T")
_STEP_BYTES = 128 << 10
"""So often readers are told."""
_LOOK_S = 0.1


class Incoming:
    """The `Growing` port. One thread brings the recording; others read, each with a pipe of its own."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[int] = []
        self._file = -1
        self._size_bytes: int | None = None
        self._whole = False
        self._broken: Exception | None = None
        self.there_bytes = 0

    # --- who brings it ---------------------------------------------------------------------------------------------

    def brought(self, bring: Callable[[], T]) -> T:
        """Runs what brings it, to its end or until it breaks. Blocking."""
        try:
            done = bring()
        except Exception as error:
            self._broken = error
            self._begun.set()
            raise
        with self._lock:
            self._whole = True
            for listener in self._listeners:
                os.close(listener)
            self._listeners.clear()
        return done

    def begin(self, path: Path, size_bytes: int | None) -> None:
        """From here on it can be read. The file may be moved or removed: this holds it."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._size_bytes = size_bytes
        self._begun.set()

    def grown(self, there_bytes: int) -> None:
        """So many bytes, from the beginning, can be read."""
        with self._lock:
            self.there_bytes = there_bytes
            for listener in self._listeners:
                self._tell(listener)

    def close(self) -> None:
        """Nobody reads it any more."""
        if self._file >= 0:
            os.close(self._file)

    # --- who reads it ----------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The open file, wherever it lies by now."""
        return Path(f"/proc/self/fd/{self._file}")

    @property
    def size_bytes(self) -> int | None:
        """As its source says."""
        return self._size_bytes

    @contextlib.contextmanager
    def told(self) -> Iterator[int]:
        """Ends with the block, or when the recording is whole; not when it breaks: an end would say that it is whole."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(theirs, False)
        with self._lock:
            self._tell(theirs)
            if self._whole:
                os.close(theirs)
            else:
                self._listeners.append(theirs)
        try:
            yield ours
        finally:
            os.close(ours)
            with self._lock:
                if theirs in self._listeners:
                    self._listeners.remove(theirs)
                    os.close(theirs)

    def is_whole(self) -> bool:
        """Raises what broke it off."""
        if self._broken is not None:
            raise self._broken
        return self._whole

    def await_begin(self, stop: threading.Event) -> None:
        """Until it can be read. Raises what broke it off before, and Transient `stopped`."""
        while not self._begun.wait(_LOOK_S):
            if stop.is_set():
                raise Transient("stopped")
        self.is_whole()

    def _tell(self, listener: int) -> None:
        # one that does not listen has much to read, and hears of what it misses by the next word, or by the end
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(listener, self.there_bytes.to_bytes(8, "little"))


class Tee:
    """A writer whose bytes can be read while they come: from the store's own file, or from a copy beside it."""

    def __init__(self, incoming: Incoming, blobs: Blobs, key: str, copy: Path, size_bytes: int | None) -> None:
        self._incoming = incoming
        self._blobs = blobs
        self._writer = blobs.writer(key)
        self._copy: Copy | None = None
        try:
            own = blobs.begun_path(self._writer)
            if own is None:
                self._copy = Copy(incoming, copy, size_bytes)
            else:
                incoming.begin(own, size_bytes)
        except BaseException:
            self._writer.abort()
            raise

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._writer.size_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes. Raises as the writer does, and as a copy."""
        self._writer.write(data)
        if self._copy is not None:
            self._copy.write(data)
        elif self.size_bytes - self._incoming.there_bytes >= _STEP_BYTES:
            self._tell()

    def commit(self) -> BlobRef:
        """They are there."""
        if self._copy is not None:
            self._copy.close()
        else:
            self._tell()
        return self._writer.commit()

    def abort(self) -> None:
        """Forget the bytes."""
        if self._copy is not None:
            self._copy.close()
        self._writer.abort()

    def _tell(self) -> None:
        self._blobs.begun_path(self._writer)
        self._incoming.grown(self.size_bytes)


class Copy:
    """A file in scratch that is read while it is written. Raises Transient `scratch_full`."""

    def __init__(self, incoming: Incoming, path: Path, size_bytes: int | None) -> None:
        self._incoming = incoming
        self._file: BinaryIO = path.open("wb", buffering=_STEP_BYTES)
        self._taken_bytes = 0
        incoming.begin(path, size_bytes)

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes, and tell of them from time to time."""
        with _room():
            self._file.write(data)
        self._taken_bytes += len(data)
        if self._taken_bytes - self._incoming.there_bytes >= _STEP_BYTES:
            self._tell()

    def close(self) -> None:
        """No more comes."""
        if not self._file.closed:
            self._tell()
            self._file.close()

    def _tell(self) -> None:
        with _room():
            self._file.flush()
        self._incoming.grown(self._taken_bytes)


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Transient("scratch_full", "The recording could not be copied.") from error
