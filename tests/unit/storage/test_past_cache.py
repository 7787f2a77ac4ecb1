"""Does a large file hold what was written, whichever way it went to the disk?"""

from __future__ import annotations

import errno
import fcntl
import os
import random
from pathlib import Path

import pytest

from tiro.adapters.storage import past_cache
from tiro.adapters.storage.past_cache import LargeFile

LARGE = 100_000
"""What is 32 MiB in earnest; not a multiple of a block."""
SIZES = (1, 4095, 4096, 70_000, 1_000_000, 3_000_001)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_cache, "_LARGE_BYTES", LARGE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def opened(path: Path) -> LargeFile:
    return LargeFile(os.open(path, os.O_WRONLY | os.O_CREAT))


def pieces(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice(SIZES)) for _ in range(12)]


def kept(path: Path, seed: int) -> bytes:
    """What is in the file once these pieces have been written."""
    file = opened(path)
    for piece in pieces(seed):
        file.write(piece)
    file.flush()
    file.close()
    return path.read_bytes()


def is_direct(file: LargeFile) -> bool:
    return bool(fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_DIRECT)


@pytest.mark.parametrize("seed", range(8))
def test_every_byte_is_there_in_whatever_pieces_it_came(path: Path, seed: int) -> None:
    assert kept(path, seed) == b"".join(pieces(seed))


def test_only_what_is_large_goes_past_the_cache_and_not_its_last_piece(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file system is asked for, whatever it says to that."""
    asked: list[bool] = []
    monkeypatch.setattr(LargeFile, "_set_direct", lambda self, *, wanted: asked.append(wanted))
    file = opened(path)
    seen = []
    for _ in range(3):
        file.write(bytes(LARGE))
        seen.append([*asked])
    file.flush()
    file.close()
    assert [*seen, asked] == [[], [True], [True], [True, False]]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_flushed_can_be_read_while_more_comes(path: Path, seed: int) -> None:
    """Whoever reads it meanwhile reads it out of the cache, and finds what follows there, too."""
    file = opened(path)
    *before, after = pieces(seed)
    for piece in before:
        file.write(piece)
    file.flush()
    assert path.read_bytes() == b"".join(before)
    file.write(after)
    assert not is_direct(file)
    file.flush()
    file.close()
    assert path.read_bytes() == b"".join([*before, after])


def test_a_file_system_that_knows_no_such_way_is_written_to_as_usual(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(handle: int, command: int, flags: int = 0) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no")
        return flags

    monkeypatch.setattr(past_cache.fcntl, "fcntl", refuses)
    assert kept(path, 1) == b"".join(pieces(1))


@pytest.mark.parametrize("written", [None, 0, 8192], ids=["refused", "nothing", "two blocks"])
def test_a_way_that_turns_out_to_be_none_is_left(
    path: Path, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    """Some say so only when the first piece is written, and a disk that fills takes a part of one."""
    write = os.write

    def stumbles(handle: int, data: bytes) -> int:
        if written is None:
            raise OSError(errno.EINVAL, "no")
        return write(handle, bytes(data[:written])) if written else 0

    monkeypatch.setattr(past_cache.os, "write", stumbles)
    monkeypatch.setattr(LargeFile, "_set_direct", lambda self, *, wanted: None)
    assert kept(path, 2) == b"".join(pieces(2))


def test_a_full_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(past_cache.os, "write", full)
    file = opened(path)
    file.write(bytes(LARGE))
    with pytest.raises(OSError, match="full"):
        file.write(bytes(3 << 20))
    file.close()
