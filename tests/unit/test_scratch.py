"""What becomes of files in passing? They go with their folder, and with the next worker when their process was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tiro.adapters.scratch import clear, passing_folder

_HOLDING = """
import sys, time
from pathlib import Path
from tiro.adapters.scratch import passing_folder
with passing_folder(Path(sys.argv[1]), "site-") as folder:
    (folder / "recording").write_bytes(b"sound")
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_passing_folder_is_gone_afterwards(tmp_path: Path) -> None:
    """With what lies in it."""
    with passing_folder(tmp_path, "ingest-") as folder:
        (folder / "source").write_bytes(b"sound")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.promise("J43")
def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_holds_stays(tmp_path: Path) -> None:
    """A recording that lay in scratch does not outlive its worker by a day."""
    with subprocess.Popen([sys.executable, "-c", _HOLDING, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert clear(tmp_path) == 0
        assert len(list(tmp_path.iterdir())) == 1
        process.kill()
    assert clear(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
