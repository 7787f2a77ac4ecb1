"""The outcomes of all cases that need a network of their own, acted out once for all test processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.hostile.egress.table import Outcome, Outcomes
from tests.servers.api import api_database

__all__ = ["api_database"]
_ROOT = Path(__file__).parents[3]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], bytes]) -> bytes:
    """Made by the first of the test processes that asks; the others wait for it."""
    shared = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    made = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(make(factory.mktemp(name)))
    return made.read_bytes()


@pytest.fixture(scope="session")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """By the name of the case."""
    return msgspec.json.decode(made_once(tmp_path_factory, "network", _acted_out), type=dict[str, Outcome])


def _acted_out(folder: Path) -> bytes:
    program = ["unshare", "-n", "-m", sys.executable, "-m", "tests.hostile.egress.inside", str(folder)]
    try:
        return subprocess.run(program, cwd=_ROOT, capture_output=True, timeout=240, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as wrong:
        said = getattr(wrong, "stderr", b"").decode(errors="replace")[-3000:]
        pytest.fail(
            f"No network of our own can be had. It takes root, `unshare`, `mount`, `ip` and veth: {wrong} {said}"
        )
