"""This side of a decoder child: starts it for a file or several, believes it nothing, reads its frames, ends it."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import math
import os
import select
import stat
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import msgspec

from tiro.adapters.media.protocol import (
    HEADER,
    HELLO,
    MAX_BODY_BYTES,
    MAX_SOURCES,
    Block,
    End,
    Frame,
    Order,
    Refused,
    unpack,
)
from tiro.adapters.media.zygote import Zygote
from tiro.model.errors import MediaRefused, TiroError, TooLarge, Transient
from tiro.model.media import SAMPLE_RATE_HZ, MediaLimits, MediaProbe
from tiro.ports import Growing

_POLL_MS = 200
_PIPE_BYTES = 1 << 20
_START_S = 60.0
_STALL_S = 120.0
"""A child that says nothing for so long while it is asked has hung."""
_MEMORY_BYTES = 512 << 20
_LEAST_CPU_S = 60
_CPU_SHARE = 0.05
"""Seconds of CPU per second of sound allowed; a slow machine needs a tenth of that."""
_END_S = 5.0


class Stopped(Transient):
    """The caller no longer wants the result."""

    code = "stopped"


class ChildLost(Exception):
    """A child that reads several files said nothing more of this one: it is to be read again, alone.

    Those after it are for another child.
    """


class Decoders:
    """Decoder children, from one zygote."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._tokens = itertools.count(1)

    def frames(
        self,
        source: Path | Growing,
        limits: MediaLimits,
        stop: threading.Event,
        *,
        split_channels: bool,
        probe_only: bool,
    ) -> Iterator[Frame]:
        """What the child finds: a MediaProbe, Blocks, an End. Closing the iterator ends the child.

        Raises MediaRefused, TooLarge, Stopped, what broke a Growing, and Transient `decoder_unavailable` when no child can be had.
        """
        with contextlib.ExitStack() as stack:
            growing = None if isinstance(source, Path) else source
            descriptors = [_opened(source, limits) if isinstance(source, Path) else _opened_early(source, limits)]
            stack.callback(os.close, descriptors[0])
            order = self._order(1, limits, split_channels=split_channels, probe_only=probe_only)
            if growing is not None:
                order = msgspec.structs.replace(order, growing=True, size_bytes=growing.size_bytes)
                # closed after the child has ended: an end of it says that the file is whole
                descriptors.append(stack.enter_context(growing.told()))
            child = stack.enter_context(self._child(order, descriptors, limits, stop, growing))
            zygote = self._zygote.pid
            try:
                yield from _checked(child.frames(), limits)
            except MediaRefused as refused:
                if refused.reason == "decode_failed" and self._zygote.pid != zygote:
                    # its children died with it: that says nothing about their recordings
                    raise Transient("decoder_unavailable") from None
                raise

    def each(
        self, sources: Sequence[Path], limits: MediaLimits, stop: threading.Event
    ) -> Generator[tuple[Path, Iterator[Frame]]]:
        """As `frames`, mixed to one channel, for several short files by one child: the frames of each are to be read before the next.

        They raise ChildLost where those of a file alone would say `decode_failed` for a child that died: then this must be closed.
        """
        assert len(sources) <= MAX_SOURCES
        with contextlib.ExitStack() as stack:
            opened: list[tuple[Path, int | TiroError]] = []
            for source in sources:
                try:
                    descriptor = _opened(source, limits)
                except (MediaRefused, TooLarge) as refused:
                    opened.append((source, refused))
                    continue
                stack.callback(os.close, descriptor)
                opened.append((source, descriptor))
            descriptors = [one for _, one in opened if isinstance(one, int)]
            child: _Pipe | None = None
            if descriptors:
                order = self._order(len(descriptors), limits, split_channels=False, probe_only=False)
                child = stack.enter_context(self._child(order, descriptors, limits, stop))
            for source, one in opened:
                if isinstance(one, int):
                    assert child is not None
                    yield source, _of_several(child, limits)
                else:
                    yield source, map(_refuse, [one])

    def _order(self, files: int, limits: MediaLimits, *, split_channels: bool, probe_only: bool) -> Order:
        return Order(
            token=next(self._tokens),
            max_duration_s=limits.max_duration_s,
            split_channels=split_channels,
            probe_only=probe_only,
            cpu_s=_LEAST_CPU_S + math.ceil(files * limits.max_duration_s * _CPU_SHARE),
            memory_bytes=_MEMORY_BYTES,
            moving_pictures=limits.moving_pictures,
        )

    @contextlib.contextmanager
    def _child(
        self,
        order: Order,
        descriptors: Sequence[int],
        limits: MediaLimits,
        stop: threading.Event,
        growing: Growing | None = None,
    ) -> Iterator[_Pipe]:
        """A child at work on these files, and its end with ours."""
        pipe = _Pipe(self._piped(order, descriptors), limits, stop, growing)
        try:
            yield pipe
        finally:
            self._zygote.kill(order.token)
            pipe.close()

    def _piped(self, order: Order, descriptors: Sequence[int]) -> int:
        """The end of the pipe to read from."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        # a decoder that runs ahead a little works while its last block is listened to
        with contextlib.suppress(OSError):
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._zygote.order(order, descriptors, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return ours


class _Pipe:
    """Bytes to frames. Time spent waiting for the child counts against its deadline; time that our caller takes does not.

    Nor does time in which a recording still comes in: whoever brings it has a deadline of his own.
    """

    def __init__(
        self, descriptor: int, limits: MediaLimits, stop: threading.Event, growing: Growing | None = None
    ) -> None:
        self._growing = growing
        self._descriptor = descriptor
        self._deadline_s = limits.deadline_s
        self._left_s = math.inf
        self._stop = stop
        self._greeted = False
        self.spoken = False
        """Whether the child came to the end of the file that it was read for last."""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def frames(self) -> Iterator[Frame]:
        """Up to the child's last word about its next file. MediaRefused `decode_failed` when it ends without one."""
        if not self._greeted:
            kind, size = self._header(_START_S, Transient("decoder_unavailable"))
            if kind != HELLO or size:
                raise Transient("decoder_unavailable")
            self._greeted = True
        self.spoken = False
        # the deadline is the recording's, not the start of a zygote's
        self._left_s = self._deadline_s
        died = MediaRefused("decode_failed")
        while True:
            kind, size = self._header(_STALL_S, died)
            if size > MAX_BODY_BYTES:
                raise died
            try:
                frame = unpack(kind, self._read(size, _STALL_S, died))
            except ValueError:
                raise died from None
            self.spoken = isinstance(frame, Refused)
            yield frame
            if isinstance(frame, End | Refused):
                self.spoken = True
                return

    def close(self) -> None:
        """Waits, for a moment, until the child is gone (its end of the pipe closes), then closes ours."""
        until = time.monotonic() + _END_S
        with contextlib.suppress(OSError):
            while (left_s := until - time.monotonic()) > 0 and self._poll.poll(left_s * 1000):
                if not os.read(self._descriptor, _PIPE_BYTES):
                    break
        os.close(self._descriptor)

    def _header(self, patience_s: float, died: Exception) -> tuple[bytes, int]:
        kind, size = HEADER.unpack(self._read(HEADER.size, patience_s, died))
        return kind, size

    def _read(self, size: int, patience_s: float, died: Exception) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(patience_s, died)
            piece = os.read(self._descriptor, size - len(data))
            if not piece:
                raise died
            data += piece
        return bytes(data)

    def _wait(self, patience_s: float, died: Exception) -> None:
        began = time.monotonic()
        try:
            while True:
                if self._stop.is_set():
                    raise Stopped
                if self._poll.poll(_POLL_MS):
                    return
                if self._growing is not None and not self._growing.is_whole():
                    began = time.monotonic()
                waited_s = time.monotonic() - began
                if waited_s > min(patience_s, self._left_s):
                    raise died
        finally:
            self._left_s -= time.monotonic() - began


def _opened(source: Path, limits: MediaLimits) -> int:
    """A descriptor to read it by. Raises MediaRefused or TooLarge for what need not be looked into."""
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise MediaRefused("unsupported_format")
        if about.st_size == 0:
            raise MediaRefused("empty_audio")
        if about.st_size > limits.max_bytes:
            raise TooLarge(limits.max_bytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _opened_early(source: Growing, limits: MediaLimits) -> int:
    """As much of it as is there; that it is too large may be known already."""
    if source.size_bytes is not None and source.size_bytes > limits.max_bytes:
        raise TooLarge(limits.max_bytes)
    return os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)


def _of_several(child: _Pipe, limits: MediaLimits) -> Iterator[Frame]:
    try:
        yield from _checked(child.frames(), limits)
    except MediaRefused:
        if not child.spoken:
            raise ChildLost from None
        raise


def _refuse(error: TiroError) -> Frame:
    """Of a file that no child was asked about."""
    raise error


def _checked(frames: Iterator[Frame], limits: MediaLimits) -> Iterator[Frame]:
    """The same frames in the only order there is: probe, blocks of one shape, end; and no more sound than the limit."""
    died = MediaRefused("decode_failed")
    channels: int | None = None
    samples = 0
    probed = False
    for frame in frames:
        match frame:
            case Refused(reason=reason):
                raise MediaRefused(reason)
            case MediaProbe():
                if probed:
                    raise died
                probed = True
            case Block():
                if not probed or channels not in {None, frame.channels} or len(frame.pcm) % (2 * frame.channels):
                    raise died
                channels = frame.channels
                samples += len(frame.pcm) // (2 * frame.channels)
                if samples > (limits.max_duration_s + 1) * SAMPLE_RATE_HZ:
                    raise MediaRefused("duration_exceeds_limit")
            case End():
                if not probed or frame.samples != samples:
                    raise died
        yield frame
