"""What does a second worker bring? `python -m bench.two_workers [--minutes 60] [--jobs 4] [--rounds 5] [--engine apart|whisper]`.

Recordings wait in an installation of several processes (PostgreSQL, Temporal); one worker hears them, then two do, by turns. Printed: the
throughput of two by that of one, and the share of the transcribe phase in which the engines computed.

`apart`: an engine that takes a time of its own and none of these cores, as one on a card or on more cores does (one span after
the other, 40 times real time): what the line around the engines costs them. `whisper`: the bundled model, one replica a worker; where
there are two cores, decoding and cutting (a third of the work beside so small a model) take the second worker's share.
The short set is `--minutes 10 --rounds 3`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.apart import apart
from bench.spoken import MODEL, recording
from bench.turns import report
from tests.acceptance.processes import Child
from tests.acceptance.site import ALL, Site
from tiro.adapters.temporal.names import job_workflow_id
from tiro.model.blob import source_key
from tiro.model.request import JobOptions, JobRequest, UploadedSource

LEAST_RATIO, LEAST_BUSY = 1.86, 0.95
DELAY = 0.025
"""Seconds that the engine which is apart takes for a second of audio."""
_WITH_WHISPER = {"TIRO_ENGINES": "faster_whisper", "TIRO_WHISPER_MODEL": str(MODEL), "TIRO_REPLICAS": "1"}


@dataclass
class Run:
    """What so many workers took."""

    wall_s: float
    busy: float


async def heard(site: Site, engine: str, workers: int, sounds: Sequence[bytes]) -> Run:
    """Hand all in, let them be heard, end the workers."""
    children = [worker(site, engine) for _ in range(workers)]
    for child in children:
        await child.says("working on")
    calls = len(site.calls()) if engine == "apart" else 0
    began = time.perf_counter()
    jobs = [await handed_in(site, sound) for sound in sounds]
    for job_id in jobs:
        await site.ended(job_id)
    wall_s = time.perf_counter() - began
    phase_s = await transcribing_s(site, jobs)
    for child in children:
        child.signal(signal.SIGTERM)
        await child.ended()
    if engine == "apart":
        busy_s = DELAY * sum(call.window_s for call in site.calls()[calls:])
    else:
        busy_s = sum(float(one) for child in children for one in re.findall(r"busy_s=([\d.]+)", child.text))
    return Run(wall_s, busy_s / (phase_s * workers))


def worker(site: Site, engine: str) -> Child:
    if engine == "apart":
        return site.worker(ALL, delay=str(DELAY), turns="1", says="so")
    return site.processes.worker({**site.environ, **_WITH_WHISPER}, ALL)


async def handed_in(site: Site, sound: bytes) -> str:
    """A job, as an API would hand it in."""
    house = site.house
    job_id = str(house.intake.new_job_id())
    blob = await asyncio.to_thread(house.blobs.put, source_key(job_id), sound, "audio/flac")
    options = JobOptions(language="en", diarize=False)
    await house.intake.submit(
        JobRequest(
            job_id=job_id,
            account_id=site.account.account_id,
            dialect="jobs",
            options=options,
            source=UploadedSource(blob),
        )
    )
    return job_id


async def transcribing_s(site: Site, jobs: Sequence[str]) -> float:
    """From the first span that a worker took to the last that was done."""
    begun: list[float] = []
    done: list[float] = []
    for job_id in jobs:
        events = (await site.history(job_workflow_id(job_id, 1))).events
        spans = {
            event.event_id
            for event in events
            if event.activity_task_scheduled_event_attributes.activity_type.name == "transcribe"
        }
        for event in events:
            at_s = event.event_time.ToDatetime().timestamp()
            if event.activity_task_started_event_attributes.scheduled_event_id in spans:
                begun.append(at_s)
            if event.activity_task_completed_event_attributes.scheduled_event_id in spans:
                done.append(at_s)
    return max(done) - min(begun)


async def measure(engine: str, minutes: float, jobs: int, rounds: int) -> int:
    sounds = [recording(round(minutes * 60), number).path.read_bytes() for number in range(jobs)]
    pairs: list[tuple[Run, Run]] = []
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        async with apart(Path(name), TIRO_SPAN_S="150", TIRO_LOG="info") as site, site.relay():
            await heard(site, engine, 1, sounds[:1])  # warm: what is calibrated is kept
            for number in range(1, rounds + 1):
                one, two = await heard(site, engine, 1, sounds), await heard(site, engine, 2, sounds)
                pairs.append((one, two))
                print(f"  round {number}: one {_said(one)}; two {_said(two)}", flush=True)
    return judged(engine, f"{jobs} files of {minutes:g} min", pairs)


def judged(engine: str, what: str, pairs: Sequence[tuple[Run, Run]]) -> int:
    ratios = [one.wall_s / two.wall_s for one, two in pairs]
    busy = [100 * run.busy for pair in pairs for run in pair]
    faster = report(
        f"two_workers/{engine}",
        f"{what}, throughput of two workers / of one",
        ratios,
        f">= {LEAST_RATIO:.2f}",
        statistics.median(ratios) >= LEAST_RATIO,
    )
    return faster | report(
        f"two_workers/{engine}/busy",
        f"{what}, per cent of the transcribe phase in which the engines compute",
        busy,
        f">= {100 * LEAST_BUSY:.0f}",
        statistics.median(busy) >= 100 * LEAST_BUSY,
    )


def _said(run: Run) -> str:
    return f"{run.wall_s:.1f} s, engines busy {100 * run.busy:.0f} %"


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--engine", choices=("apart", "whisper"), default="apart")
    wanted.add_argument("--minutes", type=float, default=60)
    wanted.add_argument("--jobs", type=int, default=4)
    wanted.add_argument("--rounds", type=int, default=5)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.engine, asked.minutes, asked.jobs, asked.rounds))


if __name__ == "__main__":
    sys.exit(main())
