"""How do two ways of doing the same compare? Both by turns in one run: wall time, CPU seconds, peak memory, and their ratio."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import jiwer
import msgspec

from bench.weighing import tree, weighing

RESULTS = "BENCH_RESULTS"
"""Environment variable: a file that gets a line of JSON for each figure."""
TEMPORAL = "Temporal"
_KINDS = {
    "start-dev": TEMPORAL,
    "engines.hosts.main": "model hosts",
    "media.decoder_child": "decoder",
    "diarizers.child": "voices",
    "worker.py": "worker",
    "commands.serve": "API",
}
"""What a command line holds -> kind of process."""
_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What a run took. `cpu_s` and `peak_mib` (proportional set size) are of a whole tree of processes, without the Temporal server."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    words: Sequence[str] = ()
    """What came out, where parity is to be shown."""
    shares: dict[str, float] = field(default_factory=dict)
    """CPU seconds by kind of process; here the Temporal server has its share, too."""


class Reported(msgspec.Struct, frozen=True):
    """One figure of one run: the middle, least and most of its values."""

    figure: str
    what: str
    middle: float
    least: float
    most: float
    times: int
    target: str
    kept: bool
    day: str
    notes: tuple[str, ...] = ()


@dataclass
class Compared:
    """Rounds of ours and of the peer's, and the ratio of their wall times round by round."""

    ours: list[Cost] = field(default_factory=list)
    peer: list[Cost] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [a.wall_s / b.wall_s for a, b in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


@contextmanager
def costing(root: int) -> Iterator[Cost]:
    """Costs the tree of processes below (and with) `root` from here to the end of the block."""
    cost = Cost()
    with weighing(root) as weighed:
        before, began_s = cpu_by_kind(root), time.perf_counter()
        yield cost
        cost.wall_s = time.perf_counter() - began_s
        cost.shares = {kind: spent_s - before.get(kind, 0.0) for kind, spent_s in cpu_by_kind(root).items()}
    cost.cpu_s = sum(spent_s for kind, spent_s in cost.shares.items() if kind != TEMPORAL)
    cost.peak_mib = weighed.peak_mib


def by_turns(ours: Callable[[], Cost], peer: Callable[[], Cost], rounds: int) -> Compared:
    """A B A B ...; each is run once before, unmeasured, by whoever needs warmth."""
    compared = Compared()
    for number in range(1, rounds + 1):
        compared.ours.append(ours())
        compared.peer.append(peer())
        print(f"  round {number}: ours {_said(compared.ours[-1])}; peer {_said(compared.peer[-1])}", flush=True)
    return compared


def report(figure: str, what: str, values: Sequence[float], target: str, kept: bool, *notes: str) -> int:
    """Prints a figure as `bench/README.md` has it: median (least to most), target, day. The exit code says whether it is kept.

    `python -m bench` gathers what its scripts report in the file that RESULTS names.
    """
    middle, day = statistics.median(values), datetime.now(UTC).date()
    verdict = "kept" if kept else "MISSED"
    print(
        f"{figure}  {what}: {middle:.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} x), target {target}: {verdict}; {day}"
    )
    for note in notes:
        print(f"    {note}")
    if gathered := os.environ.get(RESULTS):
        line = Reported(figure, what, middle, min(values), max(values), len(values), target, kept, str(day), notes)
        with Path(gathered).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
    return 0 if kept else 1


def medians(costs: Sequence[Cost]) -> str:
    """The middle of several runs, for a note."""
    wall, cpu, peak = (
        statistics.median(getattr(one, name) for one in costs) for name in ("wall_s", "cpu_s", "peak_mib")
    )
    return f"{wall:.1f} s, {cpu:.1f} CPU s, {peak:.0f} MiB"


def word_errors(said: Sequence[str], truth: Sequence[str]) -> float:
    """Word error rate, 0..: least insertions, deletions and replacements, per word of the truth."""
    return float(jiwer.wer(" ".join(truth), " ".join(said))) if truth else float(len(said))


def _said(cost: Cost) -> str:
    return f"{cost.wall_s:.2f} s ({cost.cpu_s:.1f} CPU s, {cost.peak_mib:.0f} MiB)"


def cpu_by_kind(root: int) -> dict[str, float]:
    """User and system seconds of the tree so far, and of its children that have ended, by kind of process."""
    spent: dict[str, float] = {}
    for pid in tree(root, temporal=True):
        try:
            place = Path("/proc") / str(pid)
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            kind = _kind(pid, root, (place / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
        ticks = sum(int(one) for one in fields[11:15])
        spent[kind] = spent.get(kind, 0.0) + ticks * _TICKS_S
    return spent


def _kind(pid: int, root: int, command: str) -> str:
    return next((kind for sign, kind in _KINDS.items() if sign in command), "main" if pid == root else "others")


def shares(costs: Sequence[Cost]) -> str:
    """Who spent the CPU seconds, in the middle of several runs."""
    kinds = {kind for cost in costs for kind in cost.shares}
    middle = {kind: statistics.median(cost.shares.get(kind, 0.0) for cost in costs) for kind in kinds}
    said = (f"{kind} {spent_s:.1f}" for kind, spent_s in sorted(middle.items(), key=lambda one: -one[1]))
    return f"CPU s by process: {', '.join(said)}"
