"""Are all figures kept? `python -m bench [--long] [--only NAME ...]` runs the scripts one by one, and ends with one table.

The short set takes about a quarter of an hour on two cores, the long one most of a day. A miss stops nothing; the exit code is 1 where a
figure was missed or a script broke.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.turns import RESULTS, Reported

ROOT = Path(__file__).parents[1]
VOICES = ROOT / ".venv-diarization" / "bin" / "python"
"""Where torch and pyannote.audio are."""
_TO_HAVE_VOICES = "torch and pyannote.audio are not here; 'make test-diarization' brings them"


class Script(NamedTuple):
    """What is run: its module, and what it is told in the short and in the long set. None: it is in that set not."""

    name: str
    short: str | None
    long: str | None
    voices: bool = False


SET = (
    Script("one_file", "--minutes 10 --rounds 3", "--minutes 60 --rounds 5"),
    Script("small_files", "--files 500 --rounds 3 --peer-files 40", "--files 1000 --rounds 5"),
    Script("two_workers", "--minutes 5 --jobs 2 --rounds 3", "--minutes 60 --jobs 4 --rounds 5"),
    Script("two_workers", None, "--engine whisper --minutes 60 --jobs 4 --rounds 5"),
    Script("fairness", "--files 300 --rounds 1", "--files 1000 --rounds 5"),
    Script("submit", "--cases 2 --rounds 3", "--rounds 5"),
    Script("upload", "--mib 2048 --rounds 3", "--mib 2048 --rounds 5"),
    Script("batch_10k", "--files 500 --rounds 3", "--files 10000 --rounds 5"),
    Script("long_file", "--hours 1 --rounds 1", "--hours 10 --rounds 3"),
    Script("killed", "--seconds 600 --rounds 1", "--seconds 1200 --rounds 5"),
    Script("decoder_child", "", ""),
    Script("pyannote_cost", "--seconds 30 --rounds 3", "--seconds 600 --rounds 5", voices=True),
    Script("pyannote_cost", None, "--beside --seconds 600 --rounds 5", voices=True),
)


def run(script: Script, words: str, results: Path) -> str | None:
    """Runs it, with its output on ours; None, or in words why there is no figure of it."""
    if script.voices and not VOICES.exists():
        return _TO_HAVE_VOICES
    known = results.stat().st_size
    python = str(VOICES) if script.voices else sys.executable
    quiet = {"PYANNOTE_METRICS_ENABLED": "0"} if script.voices else {}
    done = subprocess.run(
        [python, "-m", f"bench.{script.name}", *words.split()],
        cwd=ROOT, env={**os.environ, **quiet, RESULTS: str(results)},
    )  # fmt: skip
    if results.stat().st_size == known:
        return f"it ended with {done.returncode} and no figure"
    return None


def table(reported: Iterable[Reported], missing: Iterable[tuple[str, str]]) -> str:
    """All figures, one a line, as wide as the widest."""
    rows = [("figure", "median", "least to most", "target", "")]
    for one in reported:
        verdict = "kept" if one.kept else "MISSED"
        rows.append((one.figure, f"{one.middle:.2f}", f"{one.least:.2f} to {one.most:.2f}", one.target, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"{name}: {why}" for name, why in missing)])


def code(reported: Iterable[Reported], missing: Iterable[tuple[str, str]]) -> int:
    """0 where every script that could run said that its figures are kept."""
    broken = [name for name, why in missing if why != _TO_HAVE_VOICES]
    return int(bool(broken) or not all(one.kept for one in reported))


def main() -> int:
    wanted = argparse.ArgumentParser(prog="python -m bench", description="Run the benchmarks, and sum them up.")
    wanted.add_argument("--long", action="store_true", help="in full: most of a day")
    names = sorted({script.name for script in SET})
    wanted.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    asked = wanted.parse_args()
    began, missing = time.monotonic(), []
    with tempfile.NamedTemporaryFile(prefix="tiro-bench-", suffix=".jsonl") as file:
        for script in SET:
            words = script.long if asked.long else script.short
            if words is None or script.name not in (asked.only or names):
                continue
            print(f"\nbench: {script.name} {words} ({time.monotonic() - began:.0f} s so far)", flush=True)
            if (why := run(script, words, Path(file.name))) is not None:
                missing.append((script.name, why))
                print(f"bench: {script.name}: {why}", flush=True)
        lines = Path(file.name).read_bytes().splitlines()
    reported = [msgspec.json.decode(line, type=Reported) for line in lines]
    print(f"\nbench: after {(time.monotonic() - began) / 60:.0f} min\n{table(reported, missing)}")
    return code(reported, missing)


if __name__ == "__main__":
    sys.exit(main())
