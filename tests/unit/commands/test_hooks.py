"""`tiro hooks keys`: an operator changes the signing key in two steps, and is kept from doing them too fast."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.shell import Shell
from tiro.adapters.database.migrate import migrate


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    migrate(shell.environ["TIRO_DATABASE_URL"])
    return shell


def _keys(shell: Shell) -> list[tuple[str, str]]:
    return [(key["key_id"], key["state"]) for key in shell.told("hooks", "keys", "list")]


@pytest.mark.promise("T28")
def test_the_first_key_is_there_when_it_is_asked_for(shell: Shell) -> None:
    assert _keys(shell) == _keys(shell) == [("v1", "active")]
    assert "v1" in shell.run("hooks", "keys", "list").stdout


@pytest.mark.promise("T28")
def test_a_key_is_published_before_it_signs(shell: Shell) -> None:
    assert shell.told("hooks", "keys", "next")["state"] == "next"
    assert _keys(shell) == [("v1", "active"), ("v2", "next")]
    assert "may sign from" in shell.run("hooks", "keys", "activate", expect=1).output
    assert _keys(shell) == [("v1", "active"), ("v2", "next")]


@pytest.mark.promise("T28")
def test_a_compromised_key_is_replaced_at_once(shell: Shell) -> None:
    shell.run("hooks", "keys", "next")
    assert shell.told("hooks", "keys", "activate", "--compromised")["key_id"] == "v2"
    assert _keys(shell) == [("v2", "active")]


def test_without_a_next_key_the_way_is_told(shell: Shell) -> None:
    assert "tiro hooks keys next" in shell.run("hooks", "keys", "activate", expect=1).output
