"""What do many short files take? `python -m bench.small_files [--files 1000] [--rounds 5]` prints a ratio.

A batch of recordings of 12 s is handed in by its manifest and brought; then the clock runs from the last word about uploads to the
result. By turns: a loop over the same files with one loaded WhisperModel that has all cores. The short set is `--files 100 --rounds 3`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.serving import Owner, hearing_up
from bench.spoken import MODEL, Recording, recordings
from bench.turns import Compared, Cost, costing, medians, report, shares, word_errors
from bench.whisper_peer import Peer, peer

TARGET = 0.40
MOST_WORSE = 0.002
"""Word error rate, against the loop."""
SECONDS = 12
_WARM = 20


async def heard(owner: Owner, pid: int, files: Sequence[Recording]) -> Cost:
    """From the manifest to the words of all files."""
    job_id = await owner.uploaded([file.path.read_bytes() for file in files], language="en")
    with costing(pid) as cost:
        await owner.transcribed(job_id)
    results = await owner.results(job_id)
    if len(results) != len(files):
        raise SystemExit(f"{len(files) - len(results)} transcripts are missing")
    cost.words = [word for result in results for word in str(result["text"]).split()]
    return cost


async def compared(owner: Owner, pid: int, peer: Peer, files: Sequence[Recording], rounds: int) -> Compared:
    found, paths = Compared(), [file.path for file in files]
    await heard(owner, pid, files[:_WARM])
    peer.hear("loop", paths[:_WARM])
    for number in range(1, rounds + 1):
        found.ours.append(await heard(owner, pid, files))
        print(f"  round {number}: ours {medians(found.ours[-1:])}", end="", flush=True)
        found.peer.append(await asyncio.to_thread(peer.costed, "loop", paths))
        print(f"; loop {medians(found.peer[-1:])}", flush=True)
    return found


def judged(found: Compared, files: Sequence[Recording]) -> int:
    """Prints the figure; whether it is kept."""
    truth = [word for file in files for word in file.words]
    ours, loop = (max(word_errors(one.words, truth) for one in costs) for costs in (found.ours, found.peer))
    same = ours <= loop + MOST_WORSE
    each_ms = statistics.median(cost.wall_s for cost in found.ours) / len(files) * 1000
    return report(
        "small_files",
        f"{len(files)} files of {SECONDS} s, manifest to result / a loop with a loaded model",
        found.ratios,
        f"<= {TARGET:.2f}",
        found.ratio <= TARGET and same,
        f"ours {medians(found.ours)}, {each_ms:.0f} ms a file; loop {medians(found.peer)}",
        shares(found.ours),
        f"word error rate: ours {100 * ours:.2f} %, loop {100 * loop:.2f} %{'' if same else ': NO PARITY'}",
    )


async def measure(count: int, rounds: int, model: Path) -> int:
    files = recordings(count, SECONDS)
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name, peer(model) as other:
        async with hearing_up(Path(name), model) as (owner, pid):
            return judged(await compared(owner, pid, other, files, rounds), files)


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--files", type=int, default=1_000)
    wanted.add_argument("--rounds", type=int, default=5)
    wanted.add_argument("--model", type=Path, default=MODEL)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.files, asked.rounds, asked.model))


if __name__ == "__main__":
    sys.exit(main())
