"""What does a file of a large batch cost? `python -m bench.batch_10k [--files 10000] [--rounds 1]` prints a ratio.

Runs `tiro up` with an engine that does not listen, hands in manifests through the public API, and takes the time from
"all is uploaded" to "the result is there". By turns, on the same Temporal server: as many child workflows with one activity each,
which do nothing. The short set is `--files 500 --rounds 5`. Printed besides: the largest history and payload, and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import sys
import tempfile
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from temporalio.client import Client

from bench.bare import Bare
from bench.serving import Owner, server
from bench.turns import report
from bench.weighing import weighing

TARGET = 0.50
LARGEST_HISTORY, LARGEST_PAYLOAD_BYTES = 4_096, 256 << 10
SECONDS_OF_A_FILE = 12


def recording() -> bytes:
    """Something that a voice detector by level takes for speech; small, since ten thousand of it lie on the disk."""
    times = np.arange(SECONDS_OF_A_FILE * 8_000) / 8_000
    loud = np.sin(2 * np.pi * 220 * times) * (np.sin(2 * np.pi * 0.25 * times) > -0.5)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, 8_000, 0, "NONE", "NONE"))
        out.writeframes((loud * 80 + 128).astype(np.uint8).tobytes())
    return file.getvalue()


async def largest(client: Client, job_id: str) -> tuple[int, int]:
    """(events of the longest history, bytes of the largest payload) of a batch and its pages."""
    events = payload = 0
    async for one in client.list_workflows(f"TiroBatch = '{job_id}' OR WorkflowId STARTS_WITH 'batch/{job_id}/'"):
        history = await client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history()
        events = max(events, len(history.events))
        payload = max([payload, *(len(event.SerializeToString()) for event in history.events)])
    return events, payload


@contextlib.asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[tuple[Owner, Client, Bare, int]]:
    with server(folder) as (said, pid):
        client = await Client.connect(said["temporal_address"])
        async with Owner(said["api"], said["key"]) as owner, Bare(client) as bare:
            yield owner, client, bare, pid


async def measure(files: int, rounds: int) -> int:
    ratios: list[float] = []
    events = payload = 0
    sound = recording()
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        async with everything(Path(name)) as (owner, client, bare, pid):
            await owner.transcribed(await owner.uploaded([sound] * 50))  # warm
            await bare.run(50)
            for _ in range(rounds):
                job_id = await owner.uploaded([sound] * files)
                with weighing(pid) as weighed:
                    ours_s = await owner.transcribed(job_id)
                if len(await owner.results(job_id)) != files:
                    raise SystemExit("a transcript is missing")
                theirs_s = await bare.run(min(files, 2_000)) * files / min(files, 2_000)
                ratios.append(ours_s / theirs_s)
                print(
                    f"{files} files: {ours_s:7.1f} s, {files / ours_s:6.1f} files/s, {ours_s / files * 1000:5.1f} ms a file;"
                    f"  bare children {theirs_s / files * 1000:5.1f} ms each;  ratio {ratios[-1]:.2f};"
                    f"  {weighed.first_mib:.0f} MiB at a tenth, {weighed.peak_mib:.0f} at most",
                    flush=True,
                )
                longest, heaviest = await largest(client, job_id)
                events, payload = max(events, longest), max(payload, heaviest)
    small = events <= LARGEST_HISTORY and payload <= LARGEST_PAYLOAD_BYTES
    return report(
        "batch_10k",
        f"{files} files that cost an engine nothing, a file / a bare child workflow",
        ratios,
        f"<= {TARGET:.2f}",
        statistics.median(ratios) <= TARGET and small,
        f"largest history {events} events (at most {LARGEST_HISTORY}), largest event {payload / 1024:.1f} KiB (at most 256)",
    )


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--files", type=int, default=10_000)
    wanted.add_argument("--rounds", type=int, default=1)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.files, asked.rounds))


if __name__ == "__main__":
    sys.exit(main())
