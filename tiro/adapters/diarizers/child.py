"""How is heavy work done beside the process that asks, and ended at any moment? By a child that answers one request at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from tiro.adapters.diarizers.turns import go_on
from tiro.model.errors import Transient

_log = logging.getLogger(__name__)
_POLL_S = 0.1
_STDERR = 2
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ", "SSL_CERT_FILE", "VIRTUAL_ENV")
_PASSED_ON_PREFIXES = ("HF_", "CUDA_", "NVIDIA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a child gets to see: what libraries need, no secret of ours, and `own`."""
    passed = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith(_PASSED_ON_PREFIXES)}
    return passed | dict(own)


class Child:
    """`python -m MODULE FD ARGUMENTS...`, started when first asked and again after it was killed. Requests wait for each other.

    One that holds more than `memory_bytes` after an answer has kept too much: it is ended, and the next request has a fresh one.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], environ: Mapping[str, str], memory_bytes: int | None = None
    ) -> None:
        self._command = (module, *arguments)
        self._environ = dict(environ)
        self._memory_bytes = memory_bytes
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the child that lives, if one does."""
        return self._process.pid if self._process else None

    def ask(self, request: bytes, stop: threading.Event, deadline_s: float) -> bytes:
        """Its answer. Raises Transient `stopped` (and the child is dead), `diarizer_crash`, `diarizer_timeout`."""
        while not self._one_at_a_time.acquire(timeout=_POLL_S):
            go_on(stop)
        try:
            go_on(stop)
            answer = self._answered(request, stop, deadline_s)
            self._end_if_grown()
            return answer
        except BaseException:
            self._kill()
            raise
        finally:
            self._one_at_a_time.release()

    def close(self) -> None:
        """Kill the child. Harmless when repeated."""
        self._kill()

    def _answered(self, request: bytes, stop: threading.Event, deadline_s: float) -> bytes:
        until = time.monotonic() + deadline_s
        try:
            connection = self._connected()
            connection.send_bytes(request)
            while not connection.poll(_POLL_S):
                go_on(stop)
                if time.monotonic() > until:
                    raise Transient("diarizer_timeout", "The diarizer's process did not answer in time.")
            return connection.recv_bytes()
        except (EOFError, OSError):
            raise Transient("diarizer_crash", "The diarizer's process ended before it answered.") from None

    def _end_if_grown(self) -> None:
        process, limit = self._process, self._memory_bytes
        if process is not None and limit is not None and (holds := _resident_bytes(process.pid)) > limit:
            _log.warning(
                "the diarizer's process holds %d bytes, more than its limit; the next request has a new one", holds
            )
            self._kill()

    def _connected(self) -> Connection:
        if self._connection is None or self._process is None or self._process.poll() is not None:
            self._kill()
            self._process, self._connection = self._started()
        return self._connection

    def _started(self) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = socket.socketpair()
        with theirs:
            module, *arguments = self._command
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                # what libraries print belongs to the log
                stdout=_STDERR,
                pass_fds=[theirs.fileno()],
                env=self._environ,
                start_new_session=True,
            )
        return process, Connection(ours.detach())

    def _kill(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if connection is not None:
            connection.close()


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def serve_until_orphaned() -> None:
    """In the child: end as soon as the parent is gone, also in the middle of an answer."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
