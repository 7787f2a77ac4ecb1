"""Real processes of ours, as an operator starts them: each with a log of its own, and none left when the test is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 90.0
_SERVE = "from commands.serve import serve; serve()"


class Child:
    """One process in a session of its own."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *command],
                env=dict(environ), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, now; the children of the process are left to notice, as with a real crash."""
        self._process.kill()
        self._process.wait(20)

    async def ended(self, within_s: float = 40.0) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self._process.wait, within_s)

    async def says(self, pattern: str, within_s: float = START_S) -> re.Match[str]:
        """The first line of its log that matches."""
        deadline = time.monotonic() + within_s
        while (found := re.search(pattern, self.text)) is None:
            assert self._process.poll() is None, f"it ended by itself:\n{self.text[-3000:]}"
            assert time.monotonic() < deadline, f"it did not say {pattern!r}:\n{self.text[-3000:]}"
            await asyncio.sleep(0.05)
        return found

    def end(self) -> None:
        """It and all it started, whatever state they are in."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(20)


class Processes:
    """Starts children and ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
        child = Child(command, environ, self._folder / f"{len(self._children):02d}-{name}.log")
        self._children.append(child)
        return child

    def worker(self, environ: Mapping[str, str], queues: str) -> Child:
        """`python worker.py`; it works once it says so."""
        return self.start("worker", [sys.executable, "worker.py", "--queue", queues], environ)

    def api(self, environ: Mapping[str, str], port: str = "0") -> Child:
        """`tiro serve` on this port, or on a free one, which it says."""
        return self.start("api", [sys.executable, "-c", _SERVE, "--port", port], environ)

    @property
    def logs(self) -> str:
        """The last that each of them said."""
        return "\n".join(f"--- {child.log.name}\n{child.text[-3000:]}" for child in self._children)

    @property
    def said(self) -> str:
        """Everything that any of them said."""
        return "".join(child.text for child in self._children)

    def end(self) -> None:
        for child in self._children:
            child.end()
