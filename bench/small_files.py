"""What do many short files take? `python -m bench.small_files [--files 1000] [--rounds 5]` prints a ratio.

A batch of recordings of 12 s is handed in by its manifest and brought; then the clock runs from the last word about uploads to the
result. By turns: a loop over the same files with one loaded WhisperModel that has all cores. `--peer-files N`: the loop hears N of them
in each round, other ones than in the round before, and seconds per file are compared; the loop's time grows with the files and nothing
else, since its model is loaded. Words are compared in those files that both have heard. The short set is
`--files 500 --rounds 3 --peer-files 40`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.serving import Owner, hearing_up
from bench.spoken import MODEL, Recording, recordings
from bench.turns import Cost, costing, medians, report, shares, word_errors
from bench.whisper_peer import Peer, peer

TARGET = 0.40
MOST_WORSE = 0.002
"""Word error rate, against the loop."""
SECONDS = 12
_WARM = 20


@dataclass
class Round:
    """What all files took us, and the files of these numbers the loop; both with the words of those."""

    numbers: Sequence[int]
    files: int
    ours: Cost
    loop: Cost

    @property
    def ratio(self) -> float:
        return (self.ours.wall_s / self.files) / (self.loop.wall_s / len(self.numbers))


async def heard(owner: Owner, pid: int, files: Sequence[Recording], numbers: Sequence[int]) -> Cost:
    """From the manifest to the words of all files; the words of these."""
    job_id = await owner.uploaded([file.path.read_bytes() for file in files], language="en")
    with costing(pid) as cost:
        await owner.transcribed(job_id)
    results = await owner.results(job_id)
    if len(results) != len(files):
        raise SystemExit(f"{len(files) - len(results)} transcripts are missing")
    cost.words = [word for number in numbers for word in str(results[number]["text"]).split()]
    return cost


def part(files: int, wanted: int, turn: int) -> list[int]:
    """Which files the loop hears in this turn (0, 1, ..): the next ones, and after the last the first again."""
    return [(turn * wanted + number) % files for number in range(min(wanted, files))]


async def compared(
    owner: Owner, pid: int, peer: Peer, files: Sequence[Recording], rounds: int, wanted: int
) -> list[Round]:
    found: list[Round] = []
    await heard(owner, pid, files[:_WARM], [])
    peer.hear("loop", [file.path for file in files[:_WARM]])
    for turn in range(rounds):
        numbers = part(len(files), wanted, turn)
        ours = await heard(owner, pid, files, numbers)
        print(f"  round {turn + 1}: ours {medians([ours])}", end="", flush=True)
        loop = await asyncio.to_thread(peer.costed, "loop", [files[number].path for number in numbers])
        print(f"; loop {medians([loop])}", flush=True)
        found.append(Round(numbers, len(files), ours, loop))
    return found


def judged(found: Sequence[Round], files: Sequence[Recording]) -> int:
    """Prints the figure; whether it is kept."""
    ours, loop = [one.ours for one in found], [one.loop for one in found]
    truth = [word for one in found for number in one.numbers for word in files[number].words]
    wrong, others = (word_errors([word for cost in costs for word in cost.words], truth) for costs in (ours, loop))
    same = wrong <= others + MOST_WORSE
    ratios = [one.ratio for one in found]
    return report(
        "small_files",
        f"a file, of {len(files)} of {SECONDS} s, manifest to result / a file, in a loop with a loaded model",
        ratios,
        f"<= {TARGET:.2f}",
        statistics.median(ratios) <= TARGET and same,
        _said("ours", ours, len(files)),
        _said("loop", loop, len(found[0].numbers)),
        shares(ours),
        f"of {len(truth)} words wrong: ours {100 * wrong:.2f} %, loop {100 * others:.2f} %{'' if same else ': NO PARITY'}",
    )


def _said(whose: str, costs: Sequence[Cost], files: int) -> str:
    each_ms = 1000 * statistics.median(cost.wall_s for cost in costs) / files
    return f"{whose}: {files} files, {medians(costs)}; {each_ms:.0f} ms a file"


async def measure(count: int, rounds: int, wanted: int, model: Path) -> int:
    files = recordings(count, SECONDS)
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name, peer(model) as other:
        async with hearing_up(Path(name), model) as (owner, pid):
            return judged(await compared(owner, pid, other, files, rounds, wanted), files)


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--files", type=int, default=1_000)
    wanted.add_argument("--rounds", type=int, default=5)
    wanted.add_argument("--peer-files", type=int, help="so many that the loop hears in each round; all")
    wanted.add_argument("--model", type=Path, default=MODEL)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.files, asked.rounds, asked.peer_files or asked.files, asked.model))


if __name__ == "__main__":
    sys.exit(main())
