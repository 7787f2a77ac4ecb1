"""Do those who compute for minutes make way for those who answer somebody, also where the kernel looks at sessions first?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tiro.adapters.priority import MODEL, WORKER

_CHILD = """
import json, os, sys
from pathlib import Path
from tiro.adapters.priority import step_back
for nice in sys.argv[1:]:
    step_back(int(nice))
group = Path("/proc/self/autogroup")
print(json.dumps([os.getpriority(os.PRIO_PROCESS, 0), group.read_text() if group.exists() else None]))
"""


@pytest.mark.parametrize(
    ("steps", "nice"), [([WORKER], WORKER), ([MODEL], MODEL), ([WORKER, MODEL], MODEL), ([MODEL, WORKER, 0], MODEL)]
)
def test_a_process_steps_back_with_its_session_and_never_forward(steps: list[int], nice: int) -> None:
    process, session = _after(steps, start_new_session=True)
    assert process == nice
    assert session is None or session.endswith(f" nice {nice}\n")


def test_who_shares_a_session_leaves_it_where_it_is() -> None:
    """A terminal's shell would step back with it."""
    process, session = _after([MODEL], start_new_session=False)
    assert process == MODEL
    group = Path("/proc/self/autogroup")
    assert session == (group.read_text() if group.exists() else None)


def _after(steps: list[int], *, start_new_session: bool) -> tuple[int, str | None]:
    command = [sys.executable, "-c", _CHILD, *map(str, steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, start_new_session=start_new_session, timeout=60)
    process, session = json.loads(done.stdout)
    return process, session
