"""The model host: `python -m tiro.adapters.engines.hosts.main SOCKET_FD SLAB_FD` with a spec on its standard input.

It loads what the spec names, says hello, answers batches one after another, and ends when its parent does.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np

from tiro.adapters.engines.hosts.protocol import (
    Answer,
    Ask,
    Batch,
    Done,
    Hello,
    Model,
    Ping,
    Slab,
    Spec,
    framed,
    next_batch,
)
from tiro.ports import Samples

_PR_SET_PDEATHSIG = 1
_PING_S = 1.0
_log = logging.getLogger("tiro.host")


def main() -> None:
    parent = int(sys.argv[1])
    connection = socket.socket(fileno=int(sys.argv[2]))
    _die_with(parent)
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    os.nice(spec.nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    slab = _attach(int(sys.argv[3]), spec.max_samples)
    model = _load(spec)
    # what is loaded stays: it is not looked at by every collection
    gc.freeze()
    Host(connection, slab, model).serve(spec.max_batch)


class Host:
    """Answers batches from the slab until the parent hangs up; a thread says each second that it lives."""

    def __init__(self, connection: socket.socket, slab: Slab, model: Model) -> None:
        self._connection = connection
        self._slab = slab
        self._model = model
        self._sending = threading.Lock()

    def serve(self, max_batch: int) -> None:
        self._send(Hello(os.getpid(), self._model.name, max_batch))
        threading.Thread(target=self._ping, daemon=True).start()
        while (batch := next_batch(self._connection)) is not None:
            began_s = time.monotonic()
            answers = self._answers(batch)
            self._send(Done(batch.id, answers, time.monotonic() - began_s, _rss_bytes()))

    def _answers(self, batch: Batch) -> tuple[Answer, ...]:
        windows = [self._slab[ref.start : ref.start + ref.size] for ref in batch.windows]
        try:
            return self._ask(windows, batch.ask)
        except Exception as wrong:  # noqa: BLE001 - a model may raise anything; the windows that do it are found alone
            _log.warning("a batch of %d failed: %s", len(windows), type(wrong).__name__)
        return tuple(self._alone(window, batch.ask) for window in windows)

    def _alone(self, window: Samples, ask: Ask) -> Answer:
        try:
            return self._ask([window], ask)[0]
        except Exception as wrong:  # noqa: BLE001 - see above
            _log.warning("a window failed: %s", type(wrong).__name__)
            return Answer(failed=True)

    def _ask(self, windows: list[Samples], ask: Ask) -> tuple[Answer, ...]:
        prepared = self._model.prepare(windows)
        if ask.detect:
            return tuple(Answer(languages=languages) for languages in self._model.detect(prepared))
        return tuple(Answer(heard=heard) for heard in self._model.transcribe(prepared, ask.options))

    def _ping(self) -> None:
        while True:
            time.sleep(_PING_S)
            try:
                self._send(Ping(_rss_bytes()))
            except OSError:
                # the parent is gone, maybe in the middle of a long batch
                os._exit(0)

    def _send(self, message: Hello | Done | Ping) -> None:
        with self._sending:
            self._connection.sendall(framed(message))


def _die_with(parent: int) -> None:
    """Be killed when the parent dies; it may have died before this line."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)
    # the terminal's interrupt is the parent's business
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _attach(slab_fd: int, samples: int) -> Slab:
    memory = mmap.mmap(slab_fd, samples * 4, prot=mmap.PROT_READ)
    os.close(slab_fd)
    return np.frombuffer(memory, np.float32)


def _load(spec: Spec) -> Model:
    module, _, function = spec.loader.partition(":")
    load: Callable[..., Model] = getattr(importlib.import_module(module), function)
    return load(**spec.config)


def _rss_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - read each second
        return int(statm.read().split()[1]) * mmap.PAGESIZE


if __name__ == "__main__":
    main()
