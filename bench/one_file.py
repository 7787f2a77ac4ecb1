"""How long does one long file take? `python -m bench.one_file [--minutes 60] [--rounds 5]` prints two ratios.

A recording is handed to `tiro up` over HTTP and fetched again as a transcript; the clock runs from the first byte of the upload to
the last of the transcript. By turns, from models that are loaded: faster-whisper's BatchedInferencePipeline and its plain
WhisperModel.transcribe on the same file with the same model. The short set is `--minutes 10 --rounds 3`.
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
from bench.spoken import MODEL, Recording, recording
from bench.turns import Compared, Cost, costing, medians, report, shares, word_errors
from bench.whisper_peer import Peer, peer

OF_BATCHED, OF_PLAIN = 0.80, 0.45
MOST_WORSE = 0.002
"""Word error rate, against the better of the two."""
WARM_S = 60


async def heard(owner: Owner, pid: int, recorded: Recording) -> Cost:
    """From the upload to the words."""
    with costing(pid) as cost:
        cost.words = await owner.words(await owner.submitted(recorded.path))
    return cost


async def compared(owner: Owner, pid: int, peer: Peer, recorded: Recording, rounds: int) -> dict[str, Compared]:
    """Ours, batched, plain, ours, batched, plain, ..."""
    found = {"batched": Compared(), "plain": Compared()}
    warm = recording(WARM_S)
    await heard(owner, pid, warm)
    for way in found:
        peer.hear(way, [warm.path])
    for number in range(1, rounds + 1):
        ours = await heard(owner, pid, recorded)
        print(f"  round {number}: ours {medians([ours])}", end="", flush=True)
        for way, pairs in found.items():
            pairs.ours.append(ours)
            pairs.peer.append(await asyncio.to_thread(peer.costed, way, [recorded.path]))
            print(f"; {way} {medians(pairs.peer[-1:])}", end="", flush=True)
        print(flush=True)
    return found


def errors(costs: Sequence[Cost], truth: Sequence[str]) -> float:
    """Word error rate, the worst of these runs."""
    return max(word_errors(words, truth) for words in {tuple(cost.words) for cost in costs})


def judged(found: dict[str, Compared], recorded: Recording) -> int:
    """Prints the figures; whether all are kept."""
    ours = next(iter(found.values())).ours
    wrong = {way: errors(pairs.peer, recorded.words) for way, pairs in found.items()}
    wrong_ours = errors(ours, recorded.words)
    same = wrong_ours <= min(wrong.values()) + MOST_WORSE
    said = ", ".join(f"{way} {100 * rate:.2f} %" for way, rate in wrong.items())
    parity = f"word error rate: ours {100 * wrong_ours:.2f} %, {said}{'' if same else ': NO PARITY'}"
    times = recorded.seconds / statistics.median(cost.wall_s for cost in ours)
    missed = 0
    for way, target in (("batched", OF_BATCHED), ("plain", OF_PLAIN)):
        pairs = found[way]
        missed |= report(
            f"one_file/{way}",
            f"a file of {recorded.seconds / 60:g} min, upload to transcript / {way}",
            pairs.ratios,
            f"<= {target:.2f}",
            pairs.ratio <= target and same,
            f"ours {medians(ours)} ({times:.0f} x real time); {way} {medians(pairs.peer)}",
            shares(ours),
            parity,
        )
    return missed


async def measure(minutes: float, rounds: int, model: Path) -> int:
    recorded = recording(round(minutes * 60))
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name, peer(model) as other:
        async with hearing_up(Path(name), model) as (owner, pid):
            return judged(await compared(owner, pid, other, recorded, rounds), recorded)


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--minutes", type=float, default=60)
    wanted.add_argument("--rounds", type=int, default=5)
    wanted.add_argument("--model", type=Path, default=MODEL)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.minutes, asked.rounds, asked.model))


if __name__ == "__main__":
    sys.exit(main())
