"""The data folder: its secrets are its owner's, one process holds it, and what a killed one left is ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from commands.folder import Credentials, DataFolder, Holder, default_data, end_leftover
from tiro.model.errors import Invalid

_HOLD = """
import sys
from pathlib import Path
from commands.folder import DataFolder
with DataFolder(Path(sys.argv[1])).held(4711):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holding(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_readable_by_their_owner_alone_and_made_once(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    made = folder.secret_key(), folder.admin_token()
    folder.save_credentials(Credentials("acct_1", "tsk_live_x"))
    assert (folder.secret_key(), folder.admin_token()) == made
    assert folder.credentials() == Credentials("acct_1", "tsk_live_x")
    assert _mode(folder.path) == 0o700
    assert {_mode(folder.path / name) for name in ("secret.key", "admin.token", "credentials.json")} == {0o600}


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    process = _holding(tmp_path)
    try:
        folder = DataFolder(tmp_path)
        assert folder.holder() == Holder(process.pid, 4711)
        with pytest.raises(click.ClickException, match=f"process {process.pid}, port 4711.*--data"), folder.held(1):
            pass
    finally:
        process.communicate("", timeout=20)
    assert folder.holder() is None
    with folder.held(1):
        assert folder.holder() == Holder(os.getpid(), 1)


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    process = _holding(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    folder = DataFolder(tmp_path)
    assert folder.holder() is None
    with folder.held(1):
        pass


def test_the_temporal_server_that_a_killed_one_left_is_ended(tmp_path: Path) -> None:
    database = tmp_path / "temporal.db"
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "start-dev", str(database)])
    while b"start-dev" not in Path(f"/proc/{left.pid}/cmdline").read_bytes():
        time.sleep(0.01)  # it is still being started
    end_leftover(Holder(1, 2, left.pid), database)
    assert left.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("words", [[], ["start-dev", "/elsewhere/temporal.db"]])
def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path: Path, words: list[str]) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", *words], stdin=subprocess.PIPE)
    try:
        end_leftover(Holder(1, 2, stranger.pid), tmp_path / "temporal.db")
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"", timeout=20)
    assert stranger.returncode == 0


def test_nothing_left_is_nothing_to_end(tmp_path: Path) -> None:
    end_leftover(None, tmp_path)
    end_leftover(Holder(1, 2), tmp_path)


def test_settings_of_a_folder_give_way_to_its_file_and_that_to_the_environment(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "tiro.toml").write_text('span_s = 120\nlog = "debug"\n')
    settings = folder.settings({"TIRO_LOG": "error", "TIRO_DATA": "ignored"}, 9000)
    assert (settings.span_s, settings.log) == (120, "error")
    assert settings.database_url == f"sqlite:///{tmp_path / 'tiro.db'}"
    assert settings.public_url == "http://127.0.0.1:9000"
    assert settings.embedded


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="TIRO_SPANS"):
        DataFolder(tmp_path).settings({"TIRO_SPANS": "120"}, 1)


def test_the_data_folder_is_named_by_the_environment_or_lies_where_data_lies() -> None:
    assert default_data({"TIRO_DATA": "/d"}) == Path("/d")
    assert default_data({"XDG_DATA_HOME": "/x"}) == Path("/x/tiro")
    assert default_data({}) == Path.home() / ".local/share/tiro"
