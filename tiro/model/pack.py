"""Short files of a batch go through the stations in packs: how many share one, how they are filled, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Generic, TypeVar

from tiro.model.batch import page_files

PACK_FILES = 25
PACK_S = 300.0
"""Files and seconds of one pack at most; a longer file goes its own way."""
T = TypeVar("T")


class Packing(Generic[T]):
    """Fills packs in the order in which files come."""

    def __init__(self) -> None:
        self._files: list[T] = []
        self._seconds = 0.0

    def put(self, file: T, seconds: float) -> list[T]:
        """The pack that is full because this file (of at most `PACK_S`) does not fit; mostly none is."""
        full = len(self._files) == PACK_FILES or self._seconds + seconds > PACK_S
        closed = self.rest() if full else []
        self._files.append(file)
        self._seconds += seconds
        return closed

    def rest(self) -> list[T]:
        """What is not closed yet; then it is."""
        closed, self._files, self._seconds = self._files, [], 0.0
        return closed


def chunks_of(page: int, files: int) -> Iterator[tuple[int, ...]]:
    """The files of a page, as they are asked for together. `files`: of the whole batch."""
    all_of_them = page_files(page, files)
    for first in range(0, len(all_of_them), PACK_FILES):
        yield tuple(all_of_them[first : first + PACK_FILES])


def pack_name(run: int, files: Sequence[int], way: str) -> str:
    """The same files, run and `way` (how they were made) have the same name, others another: who comes late overwrites only its own."""
    digest = sha256(f"{run}|{way}|{','.join(map(str, files))}".encode()).hexdigest()[:12]
    return f"{run}-{files[0]:05d}-{digest}"
