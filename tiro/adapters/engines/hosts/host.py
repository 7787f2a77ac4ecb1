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
from collections.abc import Sequence

import msgspec
import numpy as np

from tiro.adapters.engines.hosts.protocol import (
    PASS_SAMPLES,
    Answer,
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


class HostLimits(msgspec.Struct, frozen=True):
    """When a host is killed: no hello in time, a batch past its deadline (fixed + per second of audio), too much memory."""

    load_s: float = 120.0
    batch_s: float = 60.0
    batch_s_per_audio_s: float = 10.0
    memory_bytes: int | None = None


class HostDied(Exception):
    """The host ended, or was killed, before it answered."""


class Host:
    """One child process with one model. `run` is called by one caller at a time; after HostDied the host is of no more use."""

    def __init__(self, process: subprocess.Popen[bytes], slab: Slab, limits: HostLimits) -> None:
        self._process = process
        self._slab = slab
        self._limits = limits
        self._batches = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.model = ""
        self.pid = process.pid

    @classmethod
    async def spawn(cls, spec: Spec, limits: HostLimits) -> Host:
        """A host that has said hello. Raises Permanent `engine_unavailable` when it does not load."""
        ours, theirs = socket.socketpair()
        slab_fd = os.memfd_create("tiro-slab")
        with theirs:
            os.ftruncate(slab_fd, spec.max_samples * 4)
            memory = mmap.mmap(slab_fd, spec.max_samples * 4)
            process = _started(spec, theirs.fileno(), slab_fd)
        # an array keeps its memory; the last reference unmaps it
        slab = np.frombuffer(memory, np.float32)
        host = cls(process, slab, limits)
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
        return host

    async def run(self, windows: Sequence[Samples], ask: Ask) -> tuple[Answer, ...]:
        """One answer per window. Raises HostDied, and then the process is gone."""
        self._batches += 1
        batch = self._written(windows, ask)
        try:
            async with asyncio.timeout(batch.deadline_s):
                self._writer.write(framed(batch))
                await self._writer.drain()
                return await self._answers(batch.id)
        except (TimeoutError, OSError):
            _log.warning("model host %d passed its deadline or hung up", self.pid)
            await self.end()
            raise HostDied from None
        except HostDied:
            await self.end()
            raise

    async def end(self) -> None:
        """Kill the process group, wait for it, give the slab back. Harmless when repeated."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        if hasattr(self, "_writer"):
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self._slab = np.empty(0, np.float32)

    def _written(self, windows: Sequence[Samples], ask: Ask) -> Batch:
        """The windows' audio laid into the slab, back to back."""
        end = 0
        refs = []
        for window in windows:
            size = min(len(window), PASS_SAMPLES)
            self._slab[end : end + size] = window[:size]
            refs.append(WindowRef(end, size))
            end += size
        deadline_s = self._limits.batch_s + self._limits.batch_s_per_audio_s * end / SAMPLE_RATE_HZ
        return Batch(self._batches, deadline_s, tuple(refs), ask)

    async def _answers(self, batch_id: int) -> tuple[Answer, ...]:
        limit = self._limits.memory_bytes
        while True:
            match await from_host(self._reader):
                case Ping(rss_bytes=rss) if limit is not None and rss > limit:
                    _log.warning("model host %d holds %d bytes, more than its limit", self.pid, rss)
                    raise HostDied
                case Done(id=id_, answers=answers) if id_ == batch_id:
                    return answers
                case None:
                    raise HostDied
                case _:
                    continue


def _started(spec: Spec, socket_fd: int, slab_fd: int) -> subprocess.Popen[bytes]:
    """The child, in its own process group; it takes over the slab's descriptor."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MAIN, str(os.getpid()), str(socket_fd), str(slab_fd)],
            stdin=subprocess.PIPE,
            pass_fds=(socket_fd, slab_fd),
            process_group=0,
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
