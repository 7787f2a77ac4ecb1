"""Where decoder children come from: a small process of ours, started on first use and again when it has died."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

import tiro
from tiro.adapters.media.protocol import Kill, Order
from tiro.model.errors import Transient

COMMAND = (sys.executable, "-m", "tiro.adapters.media.decoder_child")


class Zygote:
    """Forks children on order, cheaply, from a process that has one thread. It ends when `close` is called, or with this process."""

    def __init__(self, command: Sequence[str] = COMMAND, folder: Path = Path(os.sep)) -> None:
        self._folder = folder
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while one runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def order(self, order: Order, sources: Sequence[int], sink: int) -> None:
        """A child that reads `sources` and writes `sink`. Raises Transient `decoder_unavailable` when no process can be had."""
        with self._lock:
            for _ in range(2):
                if self._send(msgspec.msgpack.encode(order), [*sources, sink]):
                    return
                self._end()
        raise Transient("decoder_unavailable")

    def kill(self, token: int) -> None:
        """Ends the child of that order, if it still runs. Children of a zygote that has died are dead already."""
        with self._lock, contextlib.suppress(OSError):
            if self._control is not None:
                self._control.sendall(msgspec.msgpack.encode(Kill(token)))

    def close(self) -> None:
        """Ends the zygote and every child."""
        with self._lock:
            self._end()

    def _send(self, message: bytes, descriptors: list[int]) -> bool:
        try:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._start()
            assert self._control is not None
            socket.send_fds(self._control, [message], descriptors)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._control = ours
            # nothing of this process's environment: no secret is within reach of a decoder; one thread, or a fork would be unsafe
            environment = {
                "PYTHONPATH": str(Path(tiro.__file__).parents[1]),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control, self._process = None, None
