"""What does this machine have for model hosts? Cores, cards and memory, as far as this process may use them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import msgspec

_V1_UNLIMITED = 1 << 60


class Machine(msgspec.Struct, frozen=True):
    """`cards` 0: the processor hears. `memory_bytes` is what is free for hosts."""

    cores: int
    cards: int
    device: str
    memory_bytes: int


def this_machine(cards: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Machine:
    """Looks anew each time: memory comes and goes."""
    device = _card(proc) if cards else _processor(proc)
    return Machine(len(os.sched_getaffinity(0)), cards, device, _available_bytes(proc, cgroups))


def own_bytes(pid: int) -> int:
    """Memory that a process has for itself, without what it shares; 0 when it is gone."""
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return 1024 * sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+)", told, re.MULTILINE))
    return 0


def cpu_s(pid: int) -> float:
    """Processor time that a process has had, all threads together."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _available_bytes(proc: Path, cgroups: Path) -> int:
    """The least of what the machine and each group of this process have left."""
    told = re.search(r"^MemAvailable: +(\d+)", _text(proc / "meminfo"), re.MULTILINE)
    left = [int(told[1]) * 1024] if told else []
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            left += _left_in(cgroups, group, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            left += _left_in(cgroups / "memory", group, *files)
    return max(0, min(left, default=0))


def _left_in(root: Path, group: str, limit: str, used: str, reclaimable: str) -> list[int]:
    """What a group and those above it have left; inside a container its own group is the root that it sees."""
    left = []
    folder = root / group.strip("/")
    for place in (folder, *folder.parents):
        most, taken = _text(place / limit).strip(), _text(place / used).strip()
        if most.isdigit() and taken.isdigit() and int(most) < _V1_UNLIMITED:
            freed = re.search(rf"^{reclaimable} (\d+)", _text(place / "memory.stat"), re.MULTILINE)
            left.append(int(most) - int(taken) + (int(freed[1]) if freed else 0))
        if place == root:
            break
    return left


def _processor(proc: Path) -> str:
    told = re.search(r"^model name\s*: (.+)$", _text(proc / "cpuinfo"), re.MULTILINE)
    return told[1].strip() if told else os.uname().machine


def _card(proc: Path) -> str:
    for file in sorted((proc / "driver" / "nvidia" / "gpus").glob("*/information")):
        told = re.search(r"^Model:\s*(.+)$", _text(file), re.MULTILINE)
        if told:
            return told[1].strip()
    return "a CUDA card"


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
