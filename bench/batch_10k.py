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
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from temporalio.client import Client

from bench.bare import Bare
from bench.weighing import Weighed, weighing

ROOT = Path(__file__).parents[1]
TARGET = 0.50
LARGEST_HISTORY, LARGEST_PAYLOAD_BYTES = 4_096, 256 << 10
SECONDS_OF_A_FILE = 12
_UPLOADS = 8
_PAGE = 500


def recording() -> bytes:
    """Something that a voice detector by level takes for speech; small, since ten thousand of it lie on the disk."""
    times = np.arange(SECONDS_OF_A_FILE * 8_000) / 8_000
    loud = np.sin(2 * np.pi * 220 * times) * (np.sin(2 * np.pi * 0.25 * times) > -0.5)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, 8_000, 0, "NONE", "NONE"))
        out.writeframes((loud * 80 + 128).astype(np.uint8).tobytes())
    return file.getvalue()


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """A `tiro up` of its own, and its process id."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIRO_", "TEMPORAL_"))}
    environ = {**kept, "TIRO_ENGINES": "scripted:says=so", "TIRO_DIARIZER": "scripted", "TIRO_LOG": "warning"}
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--data", str(folder / "data"), "--port", "0", "--json"],
            env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert up.stdout is not None
        line = up.stdout.readline()
        if not line:
            raise SystemExit((folder / "up.log").read_text()[-3000:])
        yield json.loads(line), up.pid
    finally:
        up.terminate()
        up.wait(60)


class Owner:
    """Who hands in batches."""

    def __init__(self, said: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {said['key']}"}
        self._http = httpx2.AsyncClient(base_url=said["api"], headers=headers, timeout=120, trust_env=False)
        self._sound = recording()

    async def uploaded(self, files: int) -> str:
        """A batch whose files have all been brought."""
        named = [{"reference_id": f"file_{number:06d}", "size_bytes": len(self._sound)} for number in range(files)]
        job = await self._said("POST", "/v1/jobs", {"type": "batch", "files": named})
        for first in range(0, files, _PAGE):
            await self._bring(job["job_id"], named[first : first + _PAGE])
        return str(job["job_id"])

    async def _bring(self, job_id: str, page: Sequence[dict[str, Any]]) -> None:
        wanted = {"files": [{"reference_id": one["reference_id"]} for one in page]}
        told = await self._said("POST", f"/v1/jobs/{job_id}/upload-urls", wanted)
        places = asyncio.Semaphore(_UPLOADS)

        async def put(upload: dict[str, Any]) -> None:
            async with places:
                answer = await self._http.put(upload["url"], content=self._sound, headers=upload.get("headers") or {})
                answer.raise_for_status()

        await asyncio.gather(*(put(one["upload"]) for one in told["uploads"]))

    async def transcribed(self, job_id: str) -> float:
        """Seconds from the last word about uploads to the result."""
        began = time.perf_counter()
        await self._said("POST", f"/v1/transcribe/{job_id}/upload-completed")
        while True:
            job = await self._said("GET", f"/v1/transcribe/{job_id}")
            if job["job_status"] in {"completed", "failed", "insufficient_funds"}:
                break
            await asyncio.sleep(0.2)
        took_s = time.perf_counter() - began
        if job["status"] != "completed":
            raise SystemExit(f"the batch ended {job}")
        return took_s

    async def results(self, job_id: str) -> int:
        """How many transcripts the document has."""
        job = await self._said("GET", f"/v1/transcribe/{job_id}")
        answer = await self._http.get(job["result_url"])
        return sum(1 for one in answer.raise_for_status().json()["results"] if "text" in one)

    async def close(self) -> None:
        await self._http.aclose()

    async def _said(self, verb: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self._http.request(verb, path, json=body) if body else await self._http.request(verb, path)
        if answer.is_error:
            raise SystemExit(f"{verb} {path}: {answer.status_code} {answer.text}")
        said: dict[str, Any] = answer.json()
        return said


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
        owner = Owner(said)
        async with Bare(client) as bare:
            try:
                yield owner, client, bare, pid
            finally:
                await owner.close()


async def measure(files: int, rounds: int) -> int:
    ratios: list[float] = []
    peaks: list[Weighed] = []
    events = payload = 0
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        async with everything(Path(name)) as (owner, client, bare, pid):
            await owner.transcribed(await owner.uploaded(50))  # warm
            await bare.run(50)
            for _ in range(rounds):
                job_id = await owner.uploaded(files)
                with weighing(pid) as weighed:
                    ours_s = await owner.transcribed(job_id)
                peaks.append(weighed)
                if await owner.results(job_id) != files:
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
    middle = statistics.median(ratios)
    print(f"ratio {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), target {TARGET:.2f}, {rounds} rounds by turns")
    print(
        f"largest history {events} events (at most {LARGEST_HISTORY}), largest event {payload / 1024:.1f} KiB (at most 256)"
    )
    kept = events <= LARGEST_HISTORY and payload <= LARGEST_PAYLOAD_BYTES
    return 0 if middle <= TARGET and kept else 1


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--files", type=int, default=10_000)
    wanted.add_argument("--rounds", type=int, default=1)
    asked = wanted.parse_args()
    return asyncio.run(measure(asked.files, asked.rounds))


if __name__ == "__main__":
    sys.exit(main())
