"""`tiro audit`: what a person and a pipe are told, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.commands.shell import Shell
from tiro.adapters.database.migrate import migrate
from tiro.adapters.storage.folder import FolderBlobs

ORPHAN = "job_01KZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    migrate(shell.environ["TIRO_DATABASE_URL"])
    shell.run("accounts", "create", "customer")
    return shell


def test_what_is_away_is_named_and_nothing_is_sworn_to(shell: Shell) -> None:
    """Temporal is away, and the rest agrees: 2."""
    said = shell.run("audit", expect=2).output
    assert "Not compared: temporal. The Temporal server does not answer." in said
    assert "1 accounts" in said
    assert "the rest agrees" in said


def test_what_does_not_agree_counts_more_than_what_is_away(shell: Shell, tmp_path: Path) -> None:
    FolderBlobs(tmp_path / "blobs").put(f"jobs/{ORPHAN}/source", b"recording")
    result = shell.run("audit", expect=1)
    assert result.stdout.splitlines()[1].split()[:2] == ["object_unknown", ORPHAN]
    assert "Not compared: temporal." in result.stderr
    told = json.loads(shell.run("audit", "--json", expect=1).stdout)
    assert told.keys() == {"findings", "compared", "unchecked", "notes"}
    assert told["findings"] == [
        {
            "kind": "object_unknown",
            "subject": ORPHAN,
            "there": "1 objects",
            "should": "a job, or an upload that is open",
        }
    ]


def test_a_database_that_is_away_leaves_nothing_to_compare(shell: Shell) -> None:
    said = shell.run("audit", expect=2, TIRO_DATABASE_URL="postgresql://x:y@127.0.0.1:9/x").output
    assert "Not compared: records." in said
    assert "agrees" not in said


def test_settings_that_cannot_be_end_with_2(shell: Shell) -> None:
    assert "TIRO_SPAN_S" in shell.run("audit", expect=2, TIRO_SPAN_S="1").output
