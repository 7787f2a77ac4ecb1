"""What a process and all it started weigh, and what they leave: read where the kernel tells it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

PROC = Path("/proc")
_LISTENS = "0A"


class Weighed(msgspec.Struct):
    """The most that was seen."""

    peak_bytes: int = 0


def tree(root: int) -> list[int]:
    """The process and its descendants."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for thread in (PROC / str(pid) / "task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def pss_bytes(root: int) -> int:
    """Of all of them: what is shared is counted once."""
    return sum(_pss_bytes(pid) for pid in tree(root))


def zombies(root: int) -> list[int]:
    """Of those that it started."""
    return [pid for pid in tree(root) if _state(pid) == "Z"]


def open_files(root: int) -> list[str]:
    """Files and devices that the process itself has open, deleted ones too."""
    return sorted(name for link in (PROC / str(root) / "fd").iterdir() if (name := _target(link)).startswith("/"))


def connections(port: int) -> int:
    """To this port of ours, and still held by somebody who listened there."""
    rows = [line.split() for line in (PROC / "net" / "tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] != _LISTENS and row[9] != "0" for row in rows)


@contextlib.contextmanager
def weighing(root: int, every_s: float = 0.05) -> Iterator[Weighed]:
    """Looks again and again while the block runs."""
    weighed, over = Weighed(), threading.Event()

    def look() -> None:
        while not over.wait(every_s):
            weighed.peak_bytes = max(weighed.peak_bytes, pss_bytes(root))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield weighed
    finally:
        over.set()
        thread.join()


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""
