"""With TIRO_DATABASE_URL set, commands work on that installation, and doctor names what is away and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from api.admin.wire import JobDetails
from cli import main
from commands.reach import Reach
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp
from tests.unit.commands.shell import Shell
from tiro.adapters.database.migrate import migrate
from tiro.model.errors import Permanent


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    migrate(shell.environ["TIRO_DATABASE_URL"])
    return shell


def test_accounts_and_keys_are_made_without_a_server(shell: Shell) -> None:
    account = shell.told("accounts", "create", "customer", "--plan", "pro", "--verified")
    made = shell.told("keys", "create", "--account", account["account_id"], "--name", "first")
    assert made["text"].startswith("tsk_live_")
    assert [key["key_id"] for key in shell.told("keys", "list")] == [made["key"]["key_id"]]
    assert shell.told("accounts", "set", account["account_id"], "--suspend", "--overage")["suspended"]
    shell.run("keys", "revoke", made["key"]["key_id"])
    assert shell.told("keys", "list")[0]["revoked_at"]
    assert "customer" in shell.run("accounts", "list").stdout


def test_an_account_must_be_named_where_there_is_no_first_one(shell: Shell) -> None:
    assert "tiro accounts list" in shell.run("keys", "create", expect=1).output


def test_a_job_that_does_not_exist_is_told_and_the_next_is_still_tried(shell: Shell) -> None:
    said = shell.run("jobs", "cancel", "job_1", "job_2", expect=1).output
    assert "job_1: There is no such job." in said
    assert "job_2: There is no such job." in said


async def test_a_server_of_another_version_is_told_in_words() -> None:
    """It holds the folder still while the command has been upgraded."""
    with ScriptedHttp({"/_admin/jobs/job_1": lambda visit: visit.answer(body=b'{"job": {}}')}) as server:
        async with httpx2.AsyncClient(base_url=server.url(), trust_env=False, verify=False) as http:
            with pytest.raises(Permanent, match="another version"):
                await Reach(http).get("/jobs/job_1", JobDetails)


def test_serve_refuses_a_database_without_our_tables(tmp_path: Path) -> None:
    said = Shell(tmp_path).run("serve", "--port", "0", expect=1).output
    assert "tiro migrate" in said


@pytest.mark.parametrize("value", ["0", "501", "many", "-1"])
def test_serve_refuses_a_cap_on_submissions_that_cannot_be(shell: Shell, value: str) -> None:
    assert "TIRO_SUBMISSIONS_PER_S" in shell.run("serve", "--port", "0", expect=1, TIRO_SUBMISSIONS_PER_S=value).output


def test_migrate_makes_the_tables_and_says_that_temporal_is_away(tmp_path: Path) -> None:
    said = Shell(tmp_path).run("migrate", expect=1).output
    assert "database: at" in said
    assert "TEMPORAL_ADDRESS" in said


def test_doctor_names_what_is_away_with_a_fix_and_fails(shell: Shell) -> None:
    found = shell.findings(1)
    assert found["temporal_unavailable"]["level"] == "fail"
    assert "TEMPORAL_ADDRESS" in found["temporal_unavailable"]["fix"]
    assert {"database", "clock", "store", "engine", "diarizer", "sites"} <= found.keys()
    assert {found[code]["level"] for code in ("database", "clock", "store", "engine", "diarizer")} == {"ok"}


@pytest.mark.promise("J34")
def test_doctor_says_that_the_light_diarizer_stands_in(shell: Shell) -> None:
    """By name, with the way to the better one."""
    found = shell.findings(1)
    assert found["diarizer"]["text"].startswith("acoustic")
    assert found["diarizer_light"]["level"] == "warn"
    assert "tiro[diarization]" in found["diarizer_light"]["fix"]


def test_every_finding_that_is_not_ok_says_what_to_do(shell: Shell) -> None:
    found = shell.findings(1, TIRO_ENGINES="openai", TIRO_DATABASE_URL="postgresql://x:y@127.0.0.1:9/x")
    assert {"database_unavailable", "engine_unavailable"} <= found.keys()
    assert not [code for code, finding in found.items() if finding["level"] != "ok" and not finding["fix"]]


def test_doctor_knows_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    (tmp_path / "tiro.db").touch()
    assert Shell(tmp_path).findings(1)["database_old"]["fix"] == "Run `tiro migrate`."


def test_doctor_measures_the_machine_with_a_recording(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    recording.write_bytes(wav(numbered(5)))
    words = ("doctor", "--json", "--measure", str(recording), "--data", str(tmp_path / "data"))
    environ = {"TIRO_DATABASE_URL": None, "TIRO_ENGINES": "scripted"}
    told = json.loads(CliRunner().invoke(main, words, env=environ).stdout)[-1]
    assert told["code"] in {"speed", "speed_low"}
    assert "x real time (5 s in" in told["text"]
    recording.write_bytes(b"no recording")
    result = CliRunner().invoke(main, words, env=environ)
    assert result.exit_code == 1
    assert json.loads(result.stdout)[-1]["code"] == "invalid_audio"


def test_doctor_of_a_folder_that_was_never_started_leaves_no_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = CliRunner().invoke(
        main, ["doctor", "--data", str(data)], env={"TIRO_DATABASE_URL": None, "TIRO_ENGINES": "scripted"}
    )
    assert result.exit_code == 0, result.output
    assert "first `tiro up`" in result.output
    assert not data.exists()
