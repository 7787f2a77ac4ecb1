"""`tiro up` and the commands beside it, as real processes over a folder, as a person starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STOP_S = 30


class Up:
    """A `tiro up` over a folder, in a session of its own, so that nothing of it outlives its test. `inside`: words that come first."""

    def __init__(self, folder: Path, environ: dict[str, str], inside: Sequence[str] = ()) -> None:
        self.folder = folder
        self.environ = environ
        self._log = folder.parent / f"{folder.name}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*inside, *tiro("up", "--data", str(folder), "--port", "0", "--json")], env=environ, cwd=ROOT, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip

    def ready(self) -> dict[str, Any]:
        """The one line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self._log.read_text()[-3000:]
        said: dict[str, Any] = json.loads(line)
        return said

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def kin(self) -> list[int]:
        """Processes that came of it and still run: those whose command line or environment names its folder."""
        return [pid for pid in processes() if pid != os.getpid() and self._is_kin(pid)]

    def end(self) -> None:
        for pid in [*self.kin(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(STOP_S)
        if self.process.stdout:
            self.process.stdout.close()

    def _is_kin(self, pid: int) -> bool:
        try:
            told = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return os.fsencode(self.folder) in told


def processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def tiro(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli", *words]


def environ(data: Path, **changes: str) -> dict[str, str]:
    """As the shell of a person who has set nothing but the engine. The mark finds children, whatever they are called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIRO_", "TEMPORAL_"))}
    return {**kept, "TIRO_ENGINES": "scripted", "TIRO_DIARIZER": "acoustic", "TIRO_DATA": str(data), **changes}


def run(data: Path, *words: str, expect: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        tiro(*words), env=environ(data, **changes), cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def check_agrees(data: Path, **changes: str) -> None:
    """`tiro audit` finds nothing, beside the server of this folder or, where none runs, without Temporal."""
    if (data / "tiro.db").exists():
        run(data, "audit", **changes)


def told(data: Path, *words: str) -> Any:
    return json.loads(run(data, *words, "--json").stdout)
