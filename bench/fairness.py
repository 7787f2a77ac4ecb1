"""How long does a one-minute job wait behind somebody's batch? `python -m bench.fairness [--files 1000] [--rounds 5]` prints a ratio.

An account has a batch of files of 12 s under way on `tiro up`; another account submits a recording of one minute. Its time from
upload to transcript, by that of the same recording on the idle server, by turns. The short set is `--files 300 --rounds 3`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.serving import Owner, another, hearing_up
from bench.spoken import MODEL, Recording, recording, recordings
from bench.turns import report, word_errors

TARGET = 2.0
SECONDS = 60
MOST_WRONG = 0.05
"""Word error rate of the one minute, which is no less well heard for its company."""
PROBES_APART_S = 2.0
_UNDER_WAY = 0.1


async def took_s(owner: Owner, recorded: Recording) -> float:
    """From upload to transcript."""
    began = time.perf_counter()
    words = await owner.words(await owner.submitted(recorded.path))
    took = time.perf_counter() - began
    if word_errors(words, recorded.words) > MOST_WRONG:
        raise SystemExit("the one minute was not heard")
    return took


async def amid(batch: Owner, single: Owner, recorded: Recording, sounds: list[bytes]) -> list[float]:
    """The same, again and again, while a batch of the other account is under way."""
    job_id = await batch.uploaded(sounds, language="en")
    await batch.begun(job_id)
    times: list[float] = []
    while (now := await batch.batch(job_id))["job_status"] not in {"completed", "failed"}:
        if now["progress"] < _UNDER_WAY:
            await asyncio.sleep(0.2)
            continue
        one_s = await took_s(single, recorded)
        if (await batch.batch(job_id))["job_status"] in {"completed", "failed"}:
            break  # that one had the server to itself at its end
        times.append(one_s)
        await asyncio.sleep(PROBES_APART_S)
    if not times:
        raise SystemExit("the batch was done before the one minute was: ask for more --files")
    return times


async def measure(files: int, rounds: int, model: Path) -> int:
    sounds = [one.path.read_bytes() for one in recordings(files)]
    recorded = recording(SECONDS)
    ratios: list[float] = []
    all_idle: list[float] = []
    all_amid: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        async with hearing_up(Path(name), model) as (single, _), another(Path(name), single.api) as batch:
            await took_s(single, recorded)
            for number in range(1, rounds + 1):
                idle = [await took_s(single, recorded) for _ in range(3)]
                busy = await amid(batch, single, recorded, sounds)
                ratios.append(statistics.median(busy) / statistics.median(idle))
                all_idle, all_amid = all_idle + idle, all_amid + busy
                print(f"  round {number}: idle {_said(idle)}; amid the batch {_said(busy)}", flush=True)
    ratio = statistics.median(ratios)
    return report(
        "fairness",
        f"a job of one minute, amid a batch of {files} of another account / on an idle server",
        ratios,
        f"<= {TARGET:.1f}",
        ratio <= TARGET,
        f"idle {_said(all_idle)}; amid {_said(all_amid)}",
    )


def _said(times_s: list[float]) -> str:
    return f"{statistics.median(times_s):.2f} s ({min(times_s):.2f} to {max(times_s):.2f}, {len(times_s)} x)"


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--files", type=int, default=1_000)
    wanted.add_argument("--rounds", type=int, default=5)
    wanted.add_argument("--model", type=Path, default=MODEL)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.files, asked.rounds, asked.model))


if __name__ == "__main__":
    sys.exit(main())
