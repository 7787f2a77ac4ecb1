"""Every command explains itself, and refuses what cannot be with a line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import main


def _all(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _all(command, (*path, name))


COMMANDS = dict(_all(main))


def _refused(*words: str, **environ: str) -> str:
    """What is said, with exit status 1 or 2."""
    result = CliRunner().invoke(main, words, env={"TIRO_DATABASE_URL": None, **environ})
    assert result.exit_code in {1, 2}, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def test_the_promised_commands_are_there() -> None:
    promised = {
        "up", "serve", "migrate", "doctor", "audit", "transcribe",
        *(f"jobs {verb}" for verb in ("list", "show", "cancel", "retry", "pause", "resume", "reprioritize")),
        *(f"keys {verb}" for verb in ("create", "list", "revoke")),
        *(f"accounts {verb}" for verb in ("create", "list", "plan", "set", "usage")),
        *(f"accounts webhook-secret {verb}" for verb in ("show", "next", "activate")),
        *(f"hooks keys {verb}" for verb in ("list", "next", "activate")),
    }  # fmt: skip
    assert promised <= {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    command = COMMANDS[path]
    assert command.help
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert not silent


def test_help_loads_nothing_heavy() -> None:
    code = "import cli, sys; print([m for m in ('litestar', 'temporalio', 'sqlalchemy', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_records_that_are_not_there_are_told_with_the_way_out(tmp_path: Path) -> None:
    assert "tiro up" in _refused("jobs", "list", "--data", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_server_without_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"RIFF")
    words = ("transcribe", str(tmp_path / "talk.wav"), "--server", "http://127.0.0.1:9", "--data", str(tmp_path))
    assert "TIRO_KEY" in _refused(*words, TIRO_KEY="")


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"RIFF")
    words = ("transcribe", str(tmp_path / "talk.wav"), "--server", "http://127.0.0.1:9", "--key", "tsk_live_x")
    assert "does not answer" in _refused(*words, "--data", str(tmp_path))


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_missing_settings_are_named(command: str) -> None:
    assert "TIRO_DATABASE_URL" in _refused(command)


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    assert "TIRO_ENGINE is not a setting" in _refused("doctor", "--data", str(tmp_path), TIRO_ENGINE="x")


def test_a_change_of_nothing_is_refused() -> None:
    assert "--overage" in _refused("accounts", "set", "acct_1")
