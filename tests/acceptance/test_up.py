"""`tiro up` and the commands beside it, as real processes: ready, refused, transcribing, stopped, killed, gone on."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.up import ROOT, STOP_S, Up, check_agrees, environ, processes, run, tiro, told
from tests.media_builder import numbered, wav

pytestmark = pytest.mark.timeout(240)

StartUp = Callable[..., Up]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start_up(data: Path) -> Iterator[StartUp]:
    """Start `tiro up` over this test's folder, with changes to its settings."""
    started: list[Up] = []

    def start(**changes: str) -> Up:
        started.append(Up(data, environ(data, **changes)))
        return started[-1]

    yield start
    try:
        check_agrees(data)
    finally:
        for one in started:
            one.end()


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """12 seconds of numbered audio."""
    file = tmp_path / "talk.wav"
    file.write_bytes(wav(numbered(12)))
    return file


def words_of(text: str) -> list[str]:
    return [word for word in text.split() if word.startswith("w")]


def test_up_says_one_line_keeps_its_secrets_and_ends_clean(start_up: StartUp, data: Path) -> None:
    up = start_up()
    ready = up.ready()
    assert {"api", "temporal_ui", "temporal_address", "account", "key", "data"} <= ready.keys()
    kept = json.loads((data / "credentials.json").read_text())
    assert kept == {"account": ready["account"], "key": ready["key"]}
    assert {stat.S_IMODE((data / f).stat().st_mode) for f in ("credentials.json", "secret.key", "admin.token")} == {
        0o600
    }
    assert httpx2.get(f"{ready['api']}/health", trust_env=False).json() == {"status": "ok"}
    assert len(up.kin()) >= 2
    began = time.monotonic()
    assert up.stop() == 0
    assert time.monotonic() - began < 15
    assert up.kin() == []


def test_a_second_up_on_the_folder_is_refused_by_name(start_up: StartUp, data: Path) -> None:
    first = start_up()
    port = httpx2.URL(first.ready()["api"]).port
    refused = run(data, "up", "--port", "0", expect=1)
    assert f"in use by process {first.process.pid}, port {port}" in refused.stderr
    assert "--data" in refused.stderr
    assert first.process.poll() is None


def test_a_port_that_is_taken_is_said_at_once(start_up: StartUp, data: Path, tmp_path: Path) -> None:
    port = httpx2.URL(start_up().ready()["api"]).port
    refused = run(tmp_path / "other", "up", "--port", str(port), expect=1)
    assert f"Port {port}" in refused.stderr
    assert "--port" in refused.stderr


def test_the_commands_work_beside_a_running_server_and_without_one(start_up: StartUp, data: Path, talk: Path) -> None:
    up = start_up()
    ready = up.ready()
    out = run(data, "transcribe", str(talk))
    assert words_of(out.stdout) == [f"w{n}" for n in range(12)]
    assert "x real time" in out.stderr
    beside = told(data, "jobs", "list")
    assert [job["state"] for job in beside] == ["completed"]
    key = told(data, "keys", "create", "--name", "mine")
    account = told(data, "accounts", "create", "customer", "--plan", "pro")
    assert told(data, "jobs", "show", beside[0]["job_id"])["job"]["spans_done"] == 1
    assert up.stop() == 0

    assert [job["job_id"] for job in told(data, "jobs", "list")] == [beside[0]["job_id"]]
    assert key["key"]["key_id"] in {one["key_id"] for one in told(data, "keys", "list")}
    run(data, "keys", "revoke", key["key"]["key_id"])
    assert told(data, "accounts", "plan", account["account_id"], "business")["plan"] == "business"
    assert told(data, "accounts", "usage")["used_s"] == 12
    secret = told(data, "accounts", "webhook-secret", "next", ready["account"])
    assert told(data, "accounts", "webhook-secret", "activate") == secret


def test_transcribe_starts_a_server_for_itself_and_ends_it(data: Path, talk: Path, tmp_path: Path) -> None:
    """Two files, three formats, no server anywhere; one of the files is no recording."""
    (tmp_path / "noise.mp3").write_bytes(b"this is not a recording" * 100)
    results = tmp_path / "results"
    wishes = ["--format", "txt", "--format", "json", "--format", "docx", "-o", str(results)]
    done = run(data, "transcribe", str(talk), str(tmp_path / "noise.mp3"), *wishes, expect=1)
    assert "noise.mp3: " in done.stderr
    assert "Is it a recording at all?" in done.stderr
    assert {file.name for file in results.iterdir()} == {"talk.txt", "talk.json", "talk.docx"}
    assert words_of((results / "talk.txt").read_text()) == [f"w{n}" for n in range(12)]
    assert not [pid for pid in processes() if pid != os.getpid() and str(data) in _told(pid)]


def _told(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return ""


def test_ctrl_c_cancels_the_jobs_of_transcribe(start_up: StartUp, data: Path, talk: Path, tmp_path: Path) -> None:
    start_up(TIRO_ENGINES=f"scripted:hold={tmp_path / 'gate'}").ready()
    asking = subprocess.Popen(tiro("transcribe", str(talk)), env=environ(data), cwd=ROOT, start_new_session=True)
    try:
        job_id = _wait_for(data, lambda job: job["stage"] == "transcribing")
        asking.send_signal(signal.SIGINT)
        assert asking.wait(STOP_S) == 130
    finally:
        asking.kill()
    assert told(data, "jobs", "show", job_id)["job"]["state"] == "cancelled"


def test_a_paused_job_waits_and_a_restart_goes_on_with_it(
    start_up: StartUp, data: Path, talk: Path, tmp_path: Path
) -> None:
    """Stopped in the middle by SIGTERM, killed in the middle of the next run, and finished by the third."""
    gate = tmp_path / "gate"
    held = {"TIRO_ENGINES": f"scripted:hold={gate}"}
    up = start_up(**held)
    ready = up.ready()
    with httpx2.Client(base_url=ready["api"], trust_env=False, timeout=30) as http:
        answer = http.post(
            "/jobs", files={"file": ("a.wav", talk.read_bytes())}, headers={"Authorization": f"Bearer {ready['key']}"}
        )
    job_id = answer.json()["job_id"]
    _wait_for(data, lambda job: job["stage"] == "transcribing")
    assert told(data, "jobs", "pause", job_id)[0]["job_id"] == job_id
    assert told(data, "jobs", "resume", job_id)[0]["job_id"] == job_id
    assert told(data, "jobs", "reprioritize", job_id, "--priority", "1")[0]["job_id"] == job_id
    assert up.stop() == 0
    assert "No server runs" in run(data, "jobs", "pause", job_id, expect=1).stderr

    killed = start_up(**held)
    killed.ready()
    _wait_for(data, lambda job: job["state"] == "processing")
    killed.process.kill()
    killed.process.wait(STOP_S)

    start_up(**held).ready()
    gate.touch()
    _wait_for(data, lambda job: job["state"] == "completed")
    assert told(data, "jobs", "list")[0]["run"] == 1


def _wait_for(data: Path, right: Callable[[dict[str, Any]], bool], within_s: float = 90) -> str:
    """The id of the first job that is right."""
    deadline = time.monotonic() + within_s
    jobs: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        jobs = told(data, "jobs", "list")
        for job in jobs:
            if right(job):
                return str(job["job_id"])
        time.sleep(0.2)
    pytest.fail(f"no job came that far: {jobs}")
