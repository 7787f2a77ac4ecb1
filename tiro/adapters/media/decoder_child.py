"""What runs in the zygote, `python -m tiro.adapters.media.decoder_child FD`, and, after a fork per order, in a decoder child.

The zygote has one thread, everything imported, no environment and no network. It forks a child per order, kills children on
request, reaps them, and ends (its children with it) when the control socket closes, that is, when the worker ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tiro.adapters.media import demux, jail
from tiro.adapters.media.growth import Growth
from tiro.adapters.media.protocol import HEADER, HELLO, MAX_ORDER_BYTES, MAX_SOURCES, Frame, Kill, Order, Refused, pack
from tiro.adapters.priority import step_back
from tiro.model.errors import MediaRefused

Decode = Callable[[int, Growth | None, Order, Callable[[Frame], None]], None]
"""(source descriptor, what tells of its growth if it still comes in, order, where frames go)."""


def serve(control: socket.socket, decode: Decode) -> None:
    """Forks a child per order until the other end of `control` is closed."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            _reap(children)
        if control not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, MAX_ORDER_BYTES, MAX_SOURCES + 1)
        if not message:
            return
        _obey(message, descriptors, children, decode)


def _obey(message: bytes, descriptors: list[int], children: dict[int, int], decode: Decode) -> None:
    order = msgspec.msgpack.decode(message, type=Order | Kill)
    match order:
        case Kill(token=token):
            _kill(children.get(token))
        case Order():
            *sources, sink = descriptors
            try:
                children[order.token] = _fork(order, sources, sink, decode)
            except OSError:
                pass  # no process to be had: the worker sees a pipe that closes without a word, and says so
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


def _fork(order: Order, sources: Sequence[int], sink: int, decode: Decode) -> int:
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            _close_all_but(*sources, sink)
            os.setsid()
            step_back(0)  # as far as the worker has, whose session this is no more
            jail.die_with_parent(zygote)
            _work(order, sources, sink, decode)
            status = 0
        finally:
            os._exit(status)
    return pid


def _close_all_but(*kept: int) -> None:
    """Nothing of the zygote's own is in a child's hands: neither its orders nor what wakes it."""
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor not in kept:
            # the listing itself was one of them, and is gone
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _work(order: Order, sources: Sequence[int], sink: int, decode: Decode) -> None:
    _write(sink, HEADER.pack(HELLO, 0))
    jail.confine(order.cpu_s, order.memory_bytes)
    growth: Growth | None = None
    if order.growing:
        *sources, told = sources
        growth = Growth(told, order.size_bytes)
    for source in sources:
        try:
            decode(source, growth, order, lambda frame: _write(sink, pack(frame)))
        except MediaRefused as refusal:
            _write(sink, pack(Refused(refusal.reason)))


def _write(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


def _kill(pid: int | None) -> None:
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def _reap(children: dict[int, int]) -> None:
    tokens = {pid: token for token, pid in children.items()}
    while children:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.pop(tokens[pid], None)


def main(decode: Decode) -> None:
    """The zygote, on the control socket whose descriptor is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    os.environ.clear()
    jail.leave_network()
    gc.collect()
    gc.freeze()
    serve(control, decode)


if __name__ == "__main__":
    demux.rehearse()
    main(demux.decode)
