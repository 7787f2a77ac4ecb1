"""How much memory does a process with all its children have? Proportional set size, a few times a second, while something runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

_EVERY_S = 0.5


class Weighed:
    """MiB of a tree of processes: after the first tenth of the looks, and at most."""

    def __init__(self) -> None:
        self._looks: list[float] = []

    def add(self, mib: float) -> None:
        self._looks.append(mib)

    @property
    def first_mib(self) -> float:
        return self._looks[len(self._looks) // 10] if self._looks else 0.0

    @property
    def peak_mib(self) -> float:
        return max(self._looks, default=0.0)


@contextlib.contextmanager
def weighing(root: int) -> Iterator[Weighed]:
    """Looks until the block ends. What the Temporal server has is not ours and is left out."""
    weighed, done = Weighed(), threading.Event()

    def look() -> None:
        while not done.wait(_EVERY_S):
            weighed.add(sum(map(_pss_mib, tree(root))))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield weighed
    finally:
        done.set()
        looking.join()


def tree(root: int, *, temporal: bool = False) -> Iterator[int]:
    """The process and all below it, without the Temporal server unless it is asked for."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        above = pid
        while above > 1 and above != root:
            above = parents.get(above, 0)
        if above == root and (temporal or not _is_temporal(pid)):
            yield pid


def _is_temporal(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "comm").read_text().strip() == "temporal"
    return True


def _pss_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
