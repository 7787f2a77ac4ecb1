"""The tables that end a test run: they can be believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CONFTEST = """
from tests.tables import Tables, seen

__all__ = ["seen"]

def pytest_configure(config):
    for mark in ("promise(*lines)", "hostile_input(*of_it)", "diarization"):
        config.addinivalue_line("markers", mark)
    config.pluginmanager.register(Tables(config, {"J1": "the first", "J2": "the second", "J3": "the third"}))
"""
_KEPT = """
import pytest

@pytest.mark.promise("J1", "J2")
def test_one(): pass

@pytest.mark.promise("J1")
def test_two(): pass
"""
_BROKEN = """
import pytest

@pytest.fixture
def breaks():
    yield
    raise OSError

@pytest.mark.promise("J2")
def test_late(breaks): pass

@pytest.mark.promise("J3")
@pytest.mark.skip
def test_skipped(): pass
"""
_HOSTILE = """
import pytest

@pytest.mark.parametrize("size", [
    pytest.param(1, marks=pytest.mark.hostile_input(17, "bomb", "too_long")),
    pytest.param(2, marks=pytest.mark.hostile_input(4, "noise", "refused")),
])
def test_input(size, seen):
    seen(f"saw {size}")
    assert size == 1
"""


def _run(folder: Path, *args: str, **files: str) -> tuple[int, list[str]]:
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *args],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return run.returncode, [" ".join(line.split()) for line in run.stdout.splitlines()]


def test_each_line_says_how_its_tests_ended(tmp_path: Path) -> None:
    """Over several processes; a failure after the test breaks its promise too; of a part of the tests only its lines are told."""
    code, lines = _run(tmp_path, "-n", "2", "test_a.py", "test_b.py", test_a=_KEPT, test_b=_BROKEN)
    assert code == 1
    assert [line for line in lines if line.startswith("J")] == [
        "J1 kept 2 tests the first",
        "J2 BROKEN 2 tests the second",
    ]


@pytest.mark.parametrize(
    ("args", "code"), [((), 1), (("-m", "not diarization"), 1), (("-k", "one or two"), 0), (("test_a.py",), 0)]
)
def test_a_whole_run_fails_for_an_untested_line(tmp_path: Path, args: tuple[str, ...], code: int) -> None:
    """A chosen part of the tests does not; a skipped test keeps nothing."""
    skipped = _BROKEN.replace("raise OSError", "pass")
    ended, lines = _run(tmp_path, *args, test_a=_KEPT, test_b=skipped)
    assert ended == code
    assert ("J3 untested 0 tests the third" in lines) == bool(code)
    assert any("no test keeps J3: the run has failed" in line for line in lines) == bool(code)


def test_hostile_inputs_are_told_in_order(tmp_path: Path) -> None:
    """Number, outcome, what was sent, what was expected and what was seen."""
    _, lines = _run(tmp_path, "-n", "2", "test_h.py", test_h=_HOSTILE)
    start = lines.index("4 failed noise: refused -> saw 2")
    assert lines[start + 1 : start + 3] == [
        "17 passed bomb: too_long -> saw 1",
        "hostile inputs: 2 cases of 2 inputs, 1 passed",
    ]


def test_an_unknown_line_is_no_promise(tmp_path: Path) -> None:
    """A slip of the pen is an error, in any process, and does not make a line look tested."""
    code, lines = _run(tmp_path, "-n", "2", "test_a.py", test_a=_KEPT.replace("J2", "J99"))
    assert code == 1
    assert any("nobody promised ['J99']" in line for line in lines)
    assert [line for line in lines if line.startswith("J")] == ["J1 BROKEN 2 tests the first"]
