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
import queue
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

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
from tiro.adapters.priority import MODEL, step_back
from tiro.ports import Samples

_PR_SET_PDEATHSIG = 1
_PING_S = 1.0
_log = logging.getLogger("tiro.host")


def main() -> None:
    parent = int(sys.argv[1])
    connection = socket.socket(fileno=int(sys.argv[2]))
    _die_with(parent)
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    step_back(MODEL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    slab = _attach(int(sys.argv[3]), spec.slab_bytes)
    model = _load(spec)
    # what is loaded stays: it is not looked at by every collection
    gc.freeze()
    Host(connection, slab, model).serve(spec)


class Work:
    """A batch, and what the model made of its audio; `spoilt`: it raised an error."""

    def __init__(self, batch: Batch, windows: list[Samples], since_s: float) -> None:
        self.batch = batch
        self.windows = windows
        self.since_s = since_s
        self.prepared: Any = None
        self.spoilt = False


class Host:
    """Answers batches from the slab until the parent hangs up; a thread says each second that it lives."""

    def __init__(self, connection: socket.socket, slab: Slab, model: Model) -> None:
        self._connection = connection
        self._slab = slab
        self._model = model
        self._sending = threading.Lock()

    def serve(self, spec: Spec) -> None:
        self._send(Hello(os.getpid(), self._model.name, spec.max_batch))
        threading.Thread(target=self._ping, daemon=True).start()
        ended_s = 0.0
        for work in _in_a_thread(self._works()) if spec.ahead else self._works():
            answers = self._answers(work)
            # it was busy since it had this work, or was done with the one before
            began_s, ended_s = max(work.since_s, ended_s), time.monotonic()
            self._send(Done(work.batch.id, answers, ended_s - began_s, _rss_bytes()))

    def _works(self) -> Iterator[Work]:
        """What is to be heard, prepared."""
        while (batch := next_batch(self._connection)) is not None:
            windows = [self._slab[ref.start : ref.start + ref.size] for ref in batch.windows]
            work = Work(batch, windows, time.monotonic())
            try:
                work.prepared = self._model.prepare(windows)
            except Exception as wrong:  # noqa: BLE001 - a model may raise anything; the windows that do it are found alone
                _log.warning("a batch of %d was not prepared: %s", len(windows), type(wrong).__name__)
                work.spoilt = True
            yield work

    def _answers(self, work: Work) -> tuple[Answer, ...]:
        try:
            if not work.spoilt:
                return self._ask(work.prepared, work.batch.ask, len(work.windows))
        except Exception as wrong:  # noqa: BLE001 - see above
            _log.warning("a batch of %d failed: %s", len(work.windows), type(wrong).__name__)
        return tuple(self._alone(window, work.batch.ask) for window in work.windows)

    def _alone(self, window: Samples, ask: Ask) -> Answer:
        try:
            return self._ask(self._model.prepare([window]), ask, 1)[0]
        except Exception as wrong:  # noqa: BLE001 - see above
            _log.warning("a window failed: %s", type(wrong).__name__)
            return Answer(failed=True)

    def _ask(self, prepared: Any, ask: Ask, windows: int) -> tuple[Answer, ...]:
        if ask.detect:
            answers = tuple(Answer(languages=languages) for languages in self._model.detect(prepared))
        else:
            answers = tuple(Answer(heard=heard) for heard in self._model.transcribe(prepared, ask.options))
        if len(answers) != windows:
            raise ValueError
        return answers

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


def _in_a_thread(works: Iterator[Work]) -> Iterator[Work]:
    """The same, each made while the one before is heard."""
    made: queue.SimpleQueue[Work | None] = queue.SimpleQueue()

    def make() -> None:
        try:
            for work in works:
                made.put(work)
        finally:
            made.put(None)

    threading.Thread(target=make, daemon=True).start()
    while (work := made.get()) is not None:
        yield work


def _attach(slab_fd: int, size: int) -> Slab:
    memory = mmap.mmap(slab_fd, size, prot=mmap.PROT_READ)
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
