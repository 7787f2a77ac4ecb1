"""How long does a submission take while workers transcribe? `python -m bench.submit [--times 20] [--rounds 5] [--shape apart|up]`.

32 connections submit jobs while two workers hear recordings at nice 10 on all cores; by turns a bare Litestar app under the same server
echoes a body of the same size to the same client. Of several processes (PostgreSQL whose commits are on the disk, Temporal, one API,
two workers), or of `tiro up`, which is all of it in one process. The figures are the JSON submission of `POST /jobs`:

full    each connection sends its next request when the last is answered: the server has all it can do, and how long one takes is how
        long 32 take. What counts is the ratio to the echo, whose server has all it can do as well.
paced   each connection sends one a second: what somebody notices who submits. What counts is the time.

`POST /v1/jobs` and submissions by form are printed besides, in full.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from bench import spoken
from bench.apart import apart
from bench.hammer import Task, hammered, percentile, request
from bench.turns import report
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp

ROOT = Path(__file__).parents[1]
MOST_RATIO, MOST_MS = 8.0, 50.0
_EVERY_S = 1.0
_PACED_TIMES = 6
_PLANS = "[plans.business]\nrequests_minute = 100000\nmax_jobs = 4\n"
"""How often somebody may ask is counted, but not what is measured. Slots are few, so that those that are submitted queue."""
_ENGINE = {
    "TIRO_ENGINES": "faster_whisper",
    "TIRO_WHISPER_MODEL": str(spoken.MODEL),
    "TIRO_REPLICAS": "1",
    "TIRO_DIARIZER": "scripted",
    "TIRO_LOG": "warning",
    "TIRO_EGRESS_ALLOW": "127.0.0.0/8",
}
_CREDIT_MICROS = 10**10
_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Served:
    """Who answers: port, process and a key."""

    port: int
    pid: int
    key: str = ""


@dataclass
class Case:
    """One kind of request, and what its rounds took, in ms."""

    name: str
    sent: bytes
    to: Served
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)

    def run(self, connections: int, times: int, every_s: float = 0.0) -> None:
        before_s = _cpu_s(self.to.pid)
        task = Task(port=self.to.port, request=self.sent, connections=connections, times=times, every_s=every_s)
        said = hammered(task)
        if set(said.statuses) - {"200", "202"}:
            raise SystemExit(f"{self.name} was answered {said.statuses}")
        for share, kept in ((0.5, self.p50), (0.95, self.p95), (0.99, self.p99)):
            kept.append(percentile(said.latencies_ms, share))
        self.cpu_ms.append((_cpu_s(self.to.pid) - before_s) * 1000 / len(said.latencies_ms))
        self.per_s.append(len(said.latencies_ms) / said.wall_s)

    def __str__(self) -> str:
        p50, p95, p99, cpu, per_s = map(statistics.median, (self.p50, self.p95, self.p99, self.cpu_ms, self.per_s))
        return f"{self.name}: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms; {per_s:.0f} a second; {cpu:.2f} ms of its process each"


def cases(served: Served, echo: Served, url: str) -> list[Case]:
    """The first is the figure, the second its peer."""
    bearer = {"Authorization": f"Bearer {served.key}"}
    typed = {**bearer, "Content-Type": "application/json"}
    single = json.dumps({"source_url": url, "language": "en"}).encode()
    big = json.dumps({"type": "big_file", "source": {"type": "url", "url": url}}).encode()
    form = _form(wav(numbered(1)))
    formed = {**bearer, "Content-Type": "multipart/form-data; boundary=tiro"}
    return [
        Case("POST /jobs, JSON", request("POST", "/jobs", single, typed), served),
        Case("echo", request("POST", "/echo", single, typed), echo),
        Case("POST /v1/jobs, JSON", request("POST", "/v1/jobs", big, typed), served),
        Case("POST /jobs, form of 32 KB", request("POST", "/jobs", form, formed), served),
        Case("echo of the form", request("POST", "/echo", form, formed), echo),
    ]


def measure(served: Served, echo: Served, url: str, asked: argparse.Namespace) -> int:
    status = 0
    for name, every_s, times, count in (("full", 0.0, asked.times, asked.cases), ("paced", _EVERY_S, _PACED_TIMES, 2)):
        print(f"{name}:")
        everything = cases(served, echo, url)[:count]
        for number in range(asked.rounds):
            for case in everything:
                case.run(asked.connections, times, every_s)
            print(f"  round {number + 1}: " + "; ".join(f"{c.name} {c.p99[-1]:.1f} ms" for c in everything), flush=True)
        status |= judged(name, everything, f"{asked.connections} connections, {asked.shape}")
    return status


def judged(name: str, everything: list[Case], where: str) -> int:
    """Prints the figure; whether it is kept."""
    ours, peer = everything[:2]
    notes = map(str, everything)
    if name == "full":
        ratios = [mine / theirs for mine, theirs in zip(ours.p99, peer.p99, strict=True)]
        what, kept = f"p99 of a submission / of an echo, {where}", statistics.median(ratios) <= MOST_RATIO
        return report("submit/full", what, ratios, f"<= {MOST_RATIO:.0f}", kept, *notes)
    what, kept = f"p99 of a submission in ms, one a second on each of {where}", statistics.median(ours.p99) <= MOST_MS
    return report("submit/paced", what, ours.p99, f"<= {MOST_MS:.0f}", kept, *notes)


@contextlib.contextmanager
def echoing() -> Iterator[Served]:
    """The peer."""
    peer = subprocess.Popen([sys.executable, "-m", "bench.echo"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert peer.stdout is not None
        yield Served(int(peer.stdout.readline()), peer.pid)
    finally:
        peer.kill()
        peer.wait()


@contextlib.asynccontextmanager
async def of_several(folder: Path, environ: dict[str, str]) -> AsyncIterator[Served]:
    """An API and two workers, each a process."""
    async with apart(folder, **environ) as site:
        await site.house.wallets.endow(site.account.account_id, _CREDIT_MICROS)
        api, address = await site.serving()
        for _ in range(2):
            await site.processes.worker(site.environ, "control,media,speech,voices,deliver").says("working on")
        yield Served(int(address.rpartition(":")[2]), api.pid, site.key)


@contextlib.asynccontextmanager
async def of_one(folder: Path, environ: dict[str, str]) -> AsyncIterator[Served]:
    """`tiro up`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIRO_", "TEMPORAL_"))}
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--data", str(folder / "data"), "--port", "0", "--json"],
            env={**kept, **environ, "TIRO_REPLICAS": "2"}, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert up.stdout is not None
        line = await asyncio.to_thread(up.stdout.readline)
        if not line:
            raise SystemExit((folder / "up.log").read_text()[-3000:])
        said = json.loads(line)
        yield Served(int(said["api"].rpartition(":")[2]), up.pid, said["key"])
    finally:
        up.terminate()
        await asyncio.to_thread(up.wait, 60)


SHAPES = {"apart": of_several, "up": of_one}


async def loaded(served: Served, minutes: int) -> None:
    """Recordings are being heard, and there are more of them than will be done before this ends."""
    sound = await asyncio.to_thread(_talk, minutes)
    headers = {"Authorization": f"Bearer {served.key}"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{served.port}", headers=headers, timeout=60, trust_env=False
    ) as http:
        for _ in range(8):
            answer = await http.post("/jobs", files={"file": ("talk.flac", sound)}, data={"language": "en"})
            answer.raise_for_status()
        while True:
            jobs: list[dict[str, Any]] = (await http.get("/jobs", params={"status": "processing"})).json()["jobs"]
            if sum(0 < job["progress"] < 1 for job in jobs) >= 2:
                return
            await asyncio.sleep(0.5)


async def main_async(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name, echoing() as echo:
        folder = Path(name)
        (folder / "plans.toml").write_text(_PLANS)
        recording = wav(numbered(2))
        with ScriptedHttp({"/a.wav": lambda visit: visit.answer(200, recording)}) as source:
            environ = {**_ENGINE, "TIRO_PLANS": str(folder / "plans.toml")}
            async with SHAPES[asked.shape](folder, environ) as served:
                if not asked.idle:
                    await loaded(served, asked.minutes)
                return await asyncio.to_thread(measure, served, echo, source.url("/a.wav"), asked)


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--rounds", type=int, default=5)
    wanted.add_argument("--connections", type=int, default=32)
    wanted.add_argument("--times", type=int, default=20, help="requests of a full round on each connection")
    wanted.add_argument("--shape", choices=SHAPES, default="apart")
    wanted.add_argument("--cases", type=int, default=5, help="2: the figure alone")
    wanted.add_argument("--minutes", type=int, default=30, help="of a recording that is heard meanwhile")
    wanted.add_argument("--idle", action="store_true", help="nothing is heard meanwhile")
    return asyncio.run(main_async(wanted.parse_args()))


def _talk(minutes: int) -> bytes:
    return spoken.recording(minutes * 60).path.read_bytes()


def _form(sound: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
    return b"--tiro\r\n" + head + b"\r\n\r\n" + sound + b"\r\n--tiro--\r\n"


def _cpu_s(pid: int) -> float:
    """Of this process alone; its children are workers."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(int(one) for one in fields[11:13]) * _TICKS_S


if __name__ == "__main__":
    sys.exit(main())
