"""What does a worker cost that is killed at half way? `python -m bench.killed [--seconds 1200] [--rounds 5]` prints seconds.

Two workers (PostgreSQL, Temporal and a folder store beside them) transcribe a recording with the scripted engine, which takes a tenth of
the audio's time. By turns: undisturbed, and with one of the two killed with SIGKILL when half of the spans are done, and started anew
at once, as any supervisor does. The extra seconds are set against one and a half spans of engine time and ten seconds. The short set is
`--seconds 600 --rounds 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.apart import apart
from bench.turns import report
from tests.acceptance.processes import Child
from tests.acceptance.site import Site

SPAN_S = 60
PACE = 0.1
"""Engine seconds per second of audio."""
SPANS, SECONDS = 1.5, 10.0
_LOOK_S = 0.05


async def half_done(site: Site, job_id: str) -> None:
    while True:
        job = await site.job(job_id)
        if job.spans_total is not None and job.spans_done * 2 >= job.spans_total:
            return
        await asyncio.sleep(_LOOK_S)


async def took_s(site: Site, workers: list[Child], seconds: int, *, kill: bool) -> float:
    """From submission to the end of the job."""
    began = time.perf_counter()
    job_id = await site.submit(seconds, webhook=False, short_by_s=0.3)
    starting: asyncio.Task[Child] | None = None
    if kill:
        await half_done(site, job_id)
        workers.pop(0).kill()
        starting = asyncio.create_task(site.working(delay=str(PACE)))
    job = await site.ended(job_id)
    took = time.perf_counter() - began
    if starting is not None:
        workers.append(await starting)
    if await site.words(job) != [f"w{number}" for number in range(seconds)]:
        raise SystemExit("words are missing")
    return took


async def measure(seconds: int, rounds: int) -> int:
    extra: list[float] = []
    calm: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        async with apart(Path(name), TIRO_SPAN_S=str(SPAN_S)) as site, site.relay():
            workers = [await site.working(delay=str(PACE)) for _ in range(2)]
            await took_s(site, workers, 2 * SPAN_S, kill=False)  # warm
            for number in range(1, rounds + 1):
                calm.append(await took_s(site, workers, seconds, kill=False))
                killed_s = await took_s(site, workers, seconds, kill=True)
                extra.append(killed_s - calm[-1])
                print(f"  round {number}: undisturbed {calm[-1]:.1f} s, killed {killed_s:.1f} s", flush=True)
    span_s = SPAN_S * PACE
    allowed_s = SPANS * span_s + SECONDS
    return report(
        "killed",
        f"extra seconds when one of two workers is killed at half way of {seconds / 60:g} min",
        extra,
        f"<= {allowed_s:.1f} ({SPANS} spans of {span_s:g} s of engine time, and {SECONDS:g} s)",
        statistics.median(extra) <= allowed_s,
        f"undisturbed {statistics.median(calm):.1f} s; every word was there each time",
    )


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--seconds", type=int, default=1200)
    wanted.add_argument("--rounds", type=int, default=5)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.seconds, asked.rounds))


if __name__ == "__main__":
    sys.exit(main())
