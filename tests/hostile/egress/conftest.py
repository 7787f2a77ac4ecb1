"""The outcomes of all cases that need a network of their own, acted out once per test process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.hostile.egress.table import Outcome, Outcomes
from tests.servers.api import api_database

__all__ = ["api_database"]
_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """By the name of the case."""
    folder = tmp_path_factory.mktemp("network")
    program = ["unshare", "-n", "-m", sys.executable, "-m", "tests.hostile.egress.inside", str(folder)]
    try:
        run = subprocess.run(program, cwd=_ROOT, capture_output=True, text=True, timeout=240, check=True)
    except (OSError, subprocess.CalledProcessError) as wrong:
        said = getattr(wrong, "stderr", "")[-3000:]
        pytest.fail(
            f"No network of our own can be had. It takes root, `unshare`, `mount`, `ip` and veth: {wrong} {said}"
        )
    return msgspec.json.decode(run.stdout, type=dict[str, Outcome])
