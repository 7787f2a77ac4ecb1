"""Who waits when there is too little processor for everybody? What computes for minutes, not what answers somebody."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

WORKER, MODEL = 5, 10
"""How nice: beside somebody who is not, and wants the same processor, they get a quarter and a tenth of it, and all that nobody wants."""
_GROUP = Path("/proc/self/autogroup")


def step_back(nice: int) -> None:
    """For this process, at its start, and for its session where it leads one; who is nicer already stays so.

    Linux shares processors among sessions first, and looks at who is nice within each only then (`autogroup`, see sched(7)): a child
    with a session of its own says this once more.
    """
    nice = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel, or a container, that shares in another way
            _GROUP.write_text(str(nice))
