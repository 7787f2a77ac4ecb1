"""A recording that names other files and addresses: none of them is touched, and no decoder runs that is not for sound."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from tests.hostile.media.forged import TONES, lists
from tests.hostile.media.matroska import with_magicyuv
from tests.hostile.media.outcomes import glance, outcome
from tests.media_builder import encode, numbered, wav
from tiro.adapters.media import demux
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.media.protocol import End, Frame, Order
from tiro.model.errors import MediaRefused

ORDER = Order(1, 60, split_channels=False, probe_only=False, cpu_s=10, memory_bytes=1 << 29)
_IN_ACCESS_OPEN = 0x01 | 0x20


class Canary:
    """A file, and the kernel's word for whether anybody has opened it (atime would depend on the mount)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(wav(TONES))
        libc = ctypes.CDLL(None)
        self._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._watch, bytes(path), _IN_ACCESS_OPEN) > 0

    def touched(self) -> bool:
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._watch)


class Honeypot:
    """An address that nobody should come to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()

    def touched(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path / "canary.wav")
    yield made
    assert not made.touched()
    made.path.read_bytes()
    assert made.touched(), "this canary would not have told"
    made.close()


@pytest.fixture
def honeypot() -> Iterator[Honeypot]:
    made = Honeypot()
    yield made
    assert not made.touched()
    socket.create_connection(made.address).close()
    assert made.touched(), "this honeypot would not have told"
    made.close()


def without_walls(path: Path) -> str | None:
    """Decoded in this process, which may open what it likes: the whitelists alone hold."""
    frames: list[Frame] = []
    try:
        demux.decode(os.open(path, os.O_RDONLY), None, ORDER, frames.append)
    except MediaRefused as refused:
        return refused.reason
    return None


KINDS = [
    pytest.param(kind, marks=pytest.mark.hostile_input(21, kind, "unsupported_format, canaries untouched"))
    for kind in lists("")
]


@pytest.mark.parametrize("kind", KINDS)
def test_no_other_file_or_address_is_opened(
    preparer: ChildPreparer,
    canary: Canary,
    honeypot: Honeypot,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    seen: Callable[[str], None],
) -> None:
    folder = canary.path.parent
    monkeypatch.chdir(folder)
    port = honeypot.address[1]
    ends = set()
    for target in (f"file://{canary.path}", str(canary.path), "canary.wav", f"http://127.0.0.1:{port}/x.ts"):
        for name in ("upload.mp3", "upload.wav", "upload.m3u8"):
            path = folder / name
            path.write_bytes(lists(target)[kind])
            ends |= {outcome(preparer, path), glance(preparer, path), without_walls(path)}
    seen(", ".join(map(str, ends)) + ", canaries untouched")
    assert ends == {"unsupported_format"}


@pytest.mark.hostile_input(20, "MKV with MagicYUV, AVI with MPEG-4: the video's decoder", "never opened")
@pytest.mark.parametrize("film", [lambda: with_magicyuv(TONES[:32_000]), lambda: encode(numbered(2), "avi")])
def test_the_decoder_of_a_video_is_never_opened(
    upload: Path, film: Callable[[], bytes], seen: Callable[[str], None]
) -> None:
    """The library itself says that it was asked to, while it looked at the streams, and refused."""
    upload.write_bytes(film())
    frames: list[Frame] = []
    with av.logging.Capture(local=False) as logs:
        av.logging.set_level(av.logging.VERBOSE)
        try:
            demux.decode(os.open(upload, os.O_RDONLY), None, ORDER, frames.append)
        finally:
            av.logging.set_level(None)
    assert isinstance(frames[-1], End)
    refused = [text for _, _, text in logs if "not on whitelist" in text]
    seen(f"refused to open {len(refused)} times")
    assert refused
