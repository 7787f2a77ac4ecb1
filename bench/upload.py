"""What does an upload cost? Memory and time of a large file through the API: `python -m bench.upload [--mib 2048] [--rounds 5]`.

By turns with `cp` of the same file on the same disk, both until the bytes are on the disk. Through `POST /jobs` as a form, and as one
PUT to the link of an upload. Memory is what the server and its children have more at their peak than before. The short set is
`--rounds 3`. What is written is removed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from bench.apart import apart
from bench.turns import Compared, Cost, by_turns, costing, medians, report
from bench.weighing import tree

MOST_RATIO, MOST_MIB = 1.3, 16
_PIECE_BYTES = 1 << 20
_BOUNDARY = "9c1e6d0f4b7a48329c1e6d0f4b7a4832"
"""As long as clients make theirs: a short one is found more slowly."""
_BEFORE = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
).encode()
_AFTER = f"\r\n--{_BOUNDARY}--\r\n".encode()
_PLANS = "[plans.business]\nmax_bytes = 10737418240\n"
_RESET_PEAK = "5"


class Bringer:
    """Somebody with a large file, and a server at this port in this process."""

    def __init__(self, file: Path, port: int, key: str, server: int) -> None:
        self._file = file
        self._port = port
        self._server = server
        self._bearer = f"Bearer {key}"
        self._http = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": self._bearer}, timeout=600, trust_env=False
        )

    def as_form(self) -> Cost:
        """POST /jobs; the job is removed again."""
        typed = {"Authorization": self._bearer, "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        with _peak(self._server) as cost:
            answer = self._sent("POST", "/jobs", typed, _BEFORE, _AFTER)
        self._removed(f"/jobs/{httpx2.Response(200, content=answer).json()['job_id']}")
        return cost

    def by_link(self) -> Cost:
        """One PUT, for a file of which nothing was said before."""
        made = self._said("/v1/jobs", {"type": "batch", "files": [{"reference_id": "a"}]})
        wanted = {"files": [{"reference_id": "a"}]}
        told = self._said(f"/v1/jobs/{made['job_id']}/upload-urls", wanted)["uploads"][0]["upload"]
        with _peak(self._server) as cost:
            self._sent("PUT", urlsplit(told["url"]).path, told.get("headers") or {})
        self._removed(f"/v1/transcribe/{made['job_id']}")
        return cost

    def copied(self) -> Cost:
        """`cp`, and `fsync`."""
        copy = self._file.with_suffix(".copy")
        began = time.perf_counter()
        subprocess.run(["cp", str(self._file), str(copy)], check=True)
        handle = os.open(copy, os.O_RDWR)
        os.fsync(handle)
        os.close(handle)
        cost = Cost(wall_s=time.perf_counter() - began)
        copy.unlink()
        return cost

    def _sent(self, method: str, path: str, headers: dict[str, str], before: bytes = b"", after: bytes = b"") -> bytes:
        """The body of the answer to a request whose body is the file, with something around it."""
        size = len(before) + self._file.stat().st_size + len(after)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {size}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with socket.create_connection(("127.0.0.1", self._port)) as connection, self._file.open("rb") as file:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + before)
            connection.sendfile(file)
            connection.sendall(after)
            said = b"".join(iter(lambda: connection.recv(_PIECE_BYTES), b""))
        head, _, body = said.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(said.decode())
        return body

    def _said(self, path: str, body: object) -> dict[str, Any]:
        said: dict[str, Any] = self._http.post(path, json=body).raise_for_status().json()
        return said

    def _removed(self, path: str) -> None:
        """Cancelled, and then deleted."""
        for _ in range(2):
            self._http.delete(path)


def measure(bringer: Bringer, asked: argparse.Namespace) -> int:
    status = 0
    for name, ours in (("form", bringer.as_form), ("link", bringer.by_link)):
        print(f"by {name}:")
        ours()  # warm
        bringer.copied()
        status |= judged(name, by_turns(ours, bringer.copied, asked.rounds), asked.mib)
    return status


def judged(name: str, compared: Compared, mib: int) -> int:
    more_mib = [cost.peak_mib for cost in compared.ours]
    kept = compared.ratio <= MOST_RATIO and statistics.median(more_mib) <= MOST_MIB
    notes = [
        f"ours {medians(compared.ours)} more than before ({min(more_mib):.1f} to {max(more_mib):.1f}, target {MOST_MIB})",
        f"cp and fsync: {medians(compared.peer)}",
    ]
    return report(f"upload/{name}", f"{mib} MiB / cp", compared.ratios, f"<= {MOST_RATIO}", kept, *notes)


@contextlib.contextmanager
def _peak(root: int) -> Iterator[Cost]:
    """With what the tree has more at the peaks of its processes than before: exact, where looking now and then is not."""
    before_kib = 0
    for pid in tree(root):
        before_kib += _kib(pid, "VmRSS")
        (Path("/proc") / str(pid) / "clear_refs").write_text(_RESET_PEAK)
    with costing(root) as cost:
        yield cost
    cost.peak_mib = (sum(_kib(pid, "VmHWM") for pid in tree(root)) - before_kib) / 1024


def _kib(pid: int, name: str) -> int:
    for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


async def measured(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        folder = Path(name)
        plans, file = folder / "plans.toml", folder / "recording"
        plans.write_text(_PLANS)
        with file.open("wb") as out:
            for _ in range(asked.mib):
                out.write(os.urandom(1 << 20))
            os.fsync(out.fileno())
        async with apart(folder, TIRO_PLANS=str(plans), TIRO_LOG="warning") as site:
            api, address = await site.serving()
            bringer = Bringer(file, int(address.rpartition(":")[2]), site.key, api.pid)
            await site.house.wallets.endow(site.account.account_id, 10**10)
            return await asyncio.to_thread(measure, bringer, asked)


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--mib", type=int, default=2048)
    wanted.add_argument("--rounds", type=int, default=5)
    return asyncio.run(measured(wanted.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
