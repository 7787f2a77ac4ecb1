"""Does a process give back what it had for a moment, whatever else its threads hold on to?"""

from __future__ import annotations

import subprocess
import sys

import pytest

_HOLDS = """
import asyncio, sys, threading
import numpy as np
from tiro.adapters.allocator import give_back_early, keep_large_pieces

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

if sys.argv[1] == "early":
    assert give_back_early()
if sys.argv[1] == "command":
    from commands.console import run
    run(asyncio.sleep(0))
if sys.argv[1] == "worker":
    import worker
    worker.serve = lambda *_: asyncio.sleep(0)
    worker.main(["--queue", "media"], standalone_mode=False)
if sys.argv[1] == "never":
    assert keep_large_pieces()
kept = []

def work():
    for size in (2_000_000, 2_400_000, 3_000_000, 1_800_000):
        sound = np.ones(size, np.float32)
        kept.append(bytearray(100_000))
        del sound

before = resident_mib()
for _ in range(8):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(resident_mib() - before)
"""


def _kept_mib(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", _HOLDS, how], capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


@pytest.mark.parametrize("how", ["early", "command", "worker"])
def test_sound_that_is_let_go_is_given_back_at_once(how: str) -> None:
    """What is small and stays is 3 MB. `tiro up`, like every command and every worker, asks for it."""
    assert _kept_mib(how) < 8


def test_what_a_layer_lets_go_is_kept_for_the_next() -> None:
    """All of the largest piece, 12 MB."""
    assert _kept_mib("never") > 11
