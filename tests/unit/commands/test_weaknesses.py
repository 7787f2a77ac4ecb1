"""What weakens a server is told by doctor, with what to do about it; what does not is not mentioned."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path

import pytest

from commands.findings import CHECKS
from commands.folder import Credentials, DataFolder
from commands.subject import Finding, Subject, subject_of_folder
from commands.weaknesses import CHECKS as WEAKNESSES
from commands.weaknesses import user
from tests.unit.commands.shell import Shell
from tiro.adapters.media import walls
from tiro.adapters.vault import guessable
from tiro.settings import read

RANDOM = base64.b64encode(bytes.fromhex("9f1c70d2a4e85b3366c0fe127d8ab94155e1b7032cd9684fa01e93c5f7824dbb")).decode()
STRONG = {
    "TIRO_DATABASE_URL": "postgresql://x:y@db/x",
    "TIRO_BLOBS": "memory://",
    "TIRO_SECRET_KEY": RANDOM,
    "TIRO_PUBLIC_URL": "https://tiro.example",
    "TEMPORAL_ADDRESS": "127.0.0.1:7233",
}


async def found(**changes: str) -> dict[str, Finding]:
    """What is said of an installation with these settings, but of the user that runs the tests."""
    environ = {**STRONG, **changes}
    subject = Subject(read(environ), environ, embedded=False)
    return await told_of(subject)


async def told_of(subject: Subject) -> dict[str, Finding]:
    told = [finding for check in WEAKNESSES.values() if check is not user for finding in await check(subject)]
    return {finding.code: finding for finding in told}


async def test_a_strong_installation_hears_of_its_decoder_alone() -> None:
    assert set(await found()) == {"decoder"}


def test_weaknesses_are_among_what_doctor_looks_at(tmp_path: Path) -> None:
    """As an operator sees them: a key of zeros fails, debug is a warning, each with what to do."""
    assert WEAKNESSES.items() <= CHECKS.items()
    said = Shell(tmp_path).findings(1, TIRO_LOG="debug")
    assert (said["secret_key_weak"]["level"], said["log_debug"]["level"]) == ("fail", "warn")
    assert "openssl rand" in said["secret_key_weak"]["fix"]


@pytest.mark.parametrize(
    ("changes", "code", "names"),
    [
        ({"TIRO_LOG": "debug"}, "log_debug", "TIRO_LOG"),
        ({"TIRO_EGRESS_ALLOW": "10.0.0.0/8,fd00::/8"}, "egress_opened", "10.0.0.0/8, fd00::/8"),
        ({"TIRO_PUBLIC_URL": "http://tiro.example:8080"}, "public_url_plain", "tiro.example"),
        ({"TEMPORAL_ADDRESS": "temporal.internal:7233"}, "temporal_plain", "temporal.internal:7233"),
        ({"TEMPORAL_ADDRESS": "[2001:db8::1]:7233"}, "temporal_plain", "[2001:db8::1]:7233"),
    ],
)
async def test_a_weak_setting_is_a_warning_that_names_it(changes: dict[str, str], code: str, names: str) -> None:
    said = await found(**changes)
    assert set(said) == {code, "decoder"}
    assert said[code].level == "warn"
    assert names in said[code].text
    assert said[code].fix


@pytest.mark.parametrize(
    "changes",
    [
        {"TIRO_PUBLIC_URL": "http://localhost:1"},
        {"TIRO_PUBLIC_URL": "http://[::1]:1"},
        {"TEMPORAL_ADDRESS": "localhost:7233"},
        {"TEMPORAL_ADDRESS": "[::1]:7233"},
        {"TEMPORAL_ADDRESS": "cloud.example:7233", "TEMPORAL_API_KEY": "k"},
        {"TEMPORAL_ADDRESS": "cluster.example:7233", "TEMPORAL_TLS": "true"},
    ],
)
async def test_what_stays_on_this_machine_or_is_encrypted_is_not_weak(changes: dict[str, str]) -> None:
    assert set(await found(**changes)) == {"decoder"}


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::", "::"), ("127.0.0.1", None)])
async def test_a_port_that_answers_others_without_https_is_told(host: str, shown: str | None) -> None:
    """What listens now counts, not what somebody meant to start."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        port = listening.getsockname()[1]
        said = (await found(TIRO_PUBLIC_URL=f"http://127.0.0.1:{port}")).get("listens_openly")
    assert (said is None) == (shown is None)
    assert said is None or f"Port {port} answers at {shown}" in said.text


WEAK = {
    "zeros": bytes(32),
    "a short pattern": b"\x01\xfe" * 16,
    "counted": bytes(range(32)),
    "counted in sevens": bytes(n * 7 % 256 for n in range(40)),
    "text": b"correct horse battery staple, ok",
    "another word": base64.b64decode("changeme" * 6),
}


@pytest.mark.parametrize("secret", WEAK.values(), ids=WEAK)
async def test_a_secret_key_that_can_be_guessed_fails(secret: bytes) -> None:
    said = await found(TIRO_SECRET_KEY=base64.b64encode(secret).decode())
    assert said["secret_key_weak"].level == "fail"


def test_a_random_secret_key_is_never_called_weak() -> None:
    assert not any(guessable(base64.b64encode(os.urandom(32)).decode()) for _ in range(2_000))


def test_a_short_secret_key_is_refused_by_name(tmp_path: Path) -> None:
    said = Shell(tmp_path).findings(1, TIRO_SECRET_KEY="changeme")
    assert "TIRO_SECRET_KEY" in said["invalid_setting"]["text"]


async def test_a_data_folder_that_others_can_read_is_told_with_the_files(tmp_path: Path) -> None:
    """As it was made it is its owner's alone."""
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.secret_key()
    folder.admin_token()
    folder.save_credentials(Credentials("acct_1", "tsk_live_1"))
    subject = subject_of_folder(folder, {})
    assert "files_open" not in await told_of(subject)
    folder.path.chmod(0o750)
    (folder.path / "credentials.json").chmod(0o644)
    said = (await told_of(subject))["files_open"]
    assert said.text.endswith(f"{folder.path}, {folder.path / 'credentials.json'}.")
    assert said.fix.startswith("chmod go= ")
    assert "secret.key" not in said.text


async def test_a_folder_that_was_never_started_has_no_weak_key(tmp_path: Path) -> None:
    subject = subject_of_folder(DataFolder(tmp_path / "none"), {})
    assert set(await told_of(subject)) == {"decoder"}


@pytest.mark.parametrize(("uid", "codes"), [(0, ["runs_as_root"]), (10001, [])])
async def test_root_is_told(monkeypatch: pytest.MonkeyPatch, uid: int, codes: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    environ = STRONG
    assert [one.code for one in await user(Subject(read(environ), environ, embedded=False))] == codes


@pytest.mark.parametrize(
    ("had", "code", "words"),
    [
        (walls.Walls(network=True, calls=True), "decoder", "an empty network"),
        (walls.Walls(network=False, calls=True), "decoder", "the filter makes up for"),
        (walls.Walls(network=True, calls=False), "decoder_open", "no system call filter here."),
        (walls.Walls(network=False, calls=False), "decoder_open", "call home"),
    ],
)
async def test_walls_that_a_decoder_cannot_have_here_are_told(
    monkeypatch: pytest.MonkeyPatch, had: walls.Walls, code: str, words: str
) -> None:
    monkeypatch.setattr(walls, "tried", lambda: had)
    said = (await found())[code]
    assert said.level == ("ok" if code == "decoder" else "warn")
    assert words in said.text


def test_walls_are_tried_in_a_process_of_their_own() -> None:
    """It says what it got; this one has lost nothing."""
    assert walls.tried().calls
    with socket.socket():
        pass
