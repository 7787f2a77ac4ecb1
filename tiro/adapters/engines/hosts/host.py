"""The parent's handle on one model host: it owns the slab and the process, and ends both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np

from tiro.adapters.engines.hosts.growth import Growth
from tiro.adapters.engines.hosts.protocol import (
    PASS_SAMPLES,
    Ask,
    Batch,
    Done,
    Hello,
    Ping,
    Slab,
    Spec,
    WindowRef,
    framed,
    from_host,
)
from tiro.model.errors import Permanent
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.ports import Samples

_log = logging.getLogger(__name__)
_MAIN = "tiro.adapters.engines.hosts.main"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ", "SSL_CERT_FILE")
_PASSED_ON_PREFIXES = ("HF_", "CUDA_", "NVIDIA_", "CT2_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

_AT_A_STRETCH = 2 * PASS_SAMPLES
"""Samples that are copied before others have their turn: 4 MB, about a millisecond."""


class HostLimits(msgspec.Struct, frozen=True):
    """When a host is killed: no hello in time, a batch past its deadline (fixed + per second of audio), too much memory.

    And when it is replaced between two batches: it holds `grown_ratio` of what it held after its first `settled_batches`, and
    `grown_bytes` more.
    """

    load_s: float = 120.0
    batch_s: float = 60.0
    batch_s_per_audio_s: float = 10.0
    memory_bytes: int | None = None
    grown_ratio: float = 1.5
    grown_bytes: int = 512 * 1024**2
    settled_batches: int = 3


class Flight:
    """A batch that the host has. `done` gives None when the host died before it answered."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.samples = sum(ref.size for ref in batch.windows)
        self.done: asyncio.Future[Done | None] = asyncio.get_running_loop().create_future()


class Host:
    """One child process with one model. It has at most as many batches at once as its slab has parts. Dead, it is of no more use."""

    def __init__(self, process: subprocess.Popen[bytes], slab: Slab, spec: Spec, limits: HostLimits) -> None:
        self._process = process
        self._slab = slab
        self._parts = spec.parts
        self._limits = limits
        self._batches = 0
        self._flights: deque[Flight] = deque()
        self._deadline: asyncio.TimerHandle | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._listening: asyncio.Task[None] | None = None
        self.growth = Growth(limits.grown_ratio, limits.grown_bytes, limits.settled_batches)
        self.dead = False
        self.model = ""
        self.pid = process.pid

    @classmethod
    async def spawn(cls, spec: Spec, limits: HostLimits) -> Host:
        """A host that has said hello. Raises Permanent `engine_unavailable` when it does not load."""
        ours, theirs = socket.socketpair()
        slab_fd = os.memfd_create("tiro-slab")
        with theirs:
            os.ftruncate(slab_fd, spec.slab_bytes)
            memory = mmap.mmap(slab_fd, spec.slab_bytes)
            process = _started(spec, theirs.fileno(), slab_fd)
        # an array keeps its memory; the last reference unmaps it
        slab = np.frombuffer(memory, np.float32)
        host = cls(process, slab, spec, limits)
        try:
            ours.setblocking(False)  # noqa: FBT003 - a socket's own word
            host._reader, host._writer = await asyncio.open_connection(sock=ours)
            async with asyncio.timeout(limits.load_s):
                hello = await from_host(host._reader)
        except TimeoutError:
            hello = None
        except BaseException:
            await host.end()
            raise
        if not isinstance(hello, Hello):
            await host.end()
            raise Permanent("engine_unavailable", "A model host did not load its model; its log says why.")
        host.model = hello.model
        host._listening = asyncio.create_task(host._listen())
        return host

    async def send(self, windows: Sequence[Samples], ask: Ask) -> asyncio.Future[Done | None]:
        """Its answers to come, one per window; None when it dies first. Called by one caller at a time, who minds the parts."""
        self._batches += 1
        start = self._batches % self._parts * (len(self._slab) // self._parts)
        flight = Flight(self._batch(windows, ask, start))
        await _lay(self._slab, flight.batch.windows, windows)
        if self.dead:
            flight.done.set_result(None)
            return flight.done
        self._flights.append(flight)
        self._writer.write(framed(flight.batch))
        if flight is self._flights[0]:
            self._begin()
        return flight.done

    async def end(self) -> None:
        """Kill the process group, wait for it, give the slab back. Harmless when repeated."""
        self._kill()
        await asyncio.to_thread(self._process.wait)
        if hasattr(self, "_writer"):
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        if self._listening is not None:
            # with nothing left to read it comes to its end
            await asyncio.wait([self._listening])
        self._slab = np.empty(0, np.float32)

    def _batch(self, windows: Sequence[Samples], ask: Ask, start: int) -> Batch:
        """What is told of the windows, which lie back to back from `start` on."""
        refs = []
        end = start
        for window in windows:
            size = min(len(window), PASS_SAMPLES)
            refs.append(WindowRef(end, size))
            end += size
        deadline_s = self._limits.batch_s + self._limits.batch_s_per_audio_s * (end - start) / SAMPLE_RATE_HZ
        return Batch(self._batches, deadline_s, tuple(refs), ask)

    def _begin(self) -> None:
        """It is the oldest batch's turn: from now on it has its seconds."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._flights:
            deadline_s = self._flights[0].batch.deadline_s
            self._deadline = asyncio.get_running_loop().call_later(deadline_s, self._late)

    def _late(self) -> None:
        _log.warning("model host %d passed its deadline", self.pid)
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)

    async def _listen(self) -> None:
        """Until it is gone, or has said what makes no sense."""
        limit = self._limits.memory_bytes
        while message := await from_host(self._reader):
            match message:
                case Ping(rss_bytes=rss) if limit is not None and rss > limit:
                    _log.warning("model host %d holds %d bytes, more than its limit", self.pid, rss)
                    break
                case Done() if self._flights and self._flights[0].batch.id == message.id:
                    self._answered(message)
                case _:
                    continue
        self._lost()

    def _answered(self, done: Done) -> None:
        flight = self._flights.popleft()
        self.growth.after(flight.samples, len(flight.batch.windows), done.rss_bytes)
        self._begin()
        if not flight.done.done():
            flight.done.set_result(done)

    def _lost(self) -> None:
        self.dead = True
        self._kill()
        flights, self._flights = self._flights, deque()
        self._begin()
        for flight in flights:
            if not flight.done.done():
                flight.done.set_result(None)


async def _lay(slab: Slab, refs: Sequence[WindowRef], windows: Sequence[Samples]) -> None:
    """Copy the audio: not in a thread, which slow calls of others may keep busy; others have their turns in between."""
    copied = 0
    for ref, window in zip(refs, windows, strict=True):
        slab[ref.start : ref.start + ref.size] = window[: ref.size]
        copied += ref.size
        if copied >= _AT_A_STRETCH:
            copied = 0
            await asyncio.sleep(0)


def _started(spec: Spec, socket_fd: int, slab_fd: int) -> subprocess.Popen[bytes]:
    """The child, in a session of its own; it takes over the slab's descriptor."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MAIN, str(os.getpid()), str(socket_fd), str(slab_fd)],
            stdin=subprocess.PIPE,
            pass_fds=(socket_fd, slab_fd),
            start_new_session=True,
            env=child_environ(),
        )
    finally:
        os.close(slab_fd)
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:
        process.stdin.write(msgspec.json.encode(spec))
    return process


def child_environ() -> dict[str, str]:
    """What a host may know: no secret of ours, one thread per replica, the same packages."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.upper().startswith(_PASSED_ON_PREFIXES)
    }
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {
        **passed,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
