"""Does anything leave the machine while it transcribes? A whole installation on an island, and a watch over its only way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.up import ROOT, Up, check_agrees, tiro
from tests.stubs.islander import FORMATS

WORDS = Path(__file__).parents[1] / "data" / "whisper-words"
_MARK = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'mark', ('192.0.2.99', 9))"
_MARKED = "to 192.0.2.99 port 9:"
_REFUSED = (
    "This test makes a network namespace of its own, and may not. Run it as root or where users may make namespaces; in a container"
    " with --privileged, or with --cap-add=NET_ADMIN --cap-add=SYS_ADMIN --security-opt=apparmor=unconfined:"
)


class Island:
    """`inside`: words before a command that is to run there."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "island.log"
        # who is not root here is root of the island
        made, entered = (
            ([], []) if os.geteuid() == 0 else (["--user", "--map-root-user"], ["--user", "--preserve-credentials"])
        )
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(
                ["unshare", *made, "--net", "--mount", sys.executable, "-m", "tests.stubs.island"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        target = f"--target={self._keeper.pid}"
        self.inside = ["nsenter", target, *entered, "--net", "--mount", f"--wd={ROOT}", "--"]

    def settle(self) -> None:
        """Returns when the island stands."""
        while "ready" not in self._said():
            time.sleep(0.05)

    def packets(self) -> list[str]:
        """All that was sent out so far, a line each: what comes before a mark of our own."""
        self.run([sys.executable, "-c", _MARK])
        while not any(_MARKED in line for line in self._said()):
            time.sleep(0.05)
        return [line for line in self._said() if line != "ready" and _MARKED not in line]

    def _said(self) -> list[str]:
        assert self._keeper.poll() is None, f"{_REFUSED}\n{self._log.read_text()}"
        return self._log.read_text().splitlines()

    def run(self, words: list[str], environ: dict[str, str] | None = None, *, expect: int = 0) -> str:
        """What the command says on its standard output."""
        command = [*self.inside, *words]
        done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=200)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def end(self) -> None:
        self._keeper.communicate(timeout=20)


@pytest.fixture
def island(tmp_path: Path) -> Iterator[Island]:
    island = Island(tmp_path)
    try:
        island.settle()
        yield island
    finally:
        island.end()


@pytest.fixture
def up(island: Island, tmp_path: Path) -> Iterator[Up]:
    """`tiro up` on the island, with a real engine."""
    data = tmp_path / "data"
    # not as a test's machine: some libraries keep still where they see one
    person = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    settings = {
        **person,
        "TIRO_DATA": str(data),
        "TIRO_DIARIZER": "acoustic",
        "TIRO_ENGINES": "faster_whisper",
        "TIRO_WHISPER_MODEL": str(WORDS),
        "TIRO_WHISPER_CALIBRATE": "0",
        "TIRO_REPLICAS": "1",
        "TIRO_EGRESS_ALLOW": "127.0.0.0/8",
    }
    up = Up(data, settings, island.inside)
    try:
        yield up
        check_agrees(data)
    finally:
        up.end()


@pytest.mark.timeout(300)
@pytest.mark.promise("J44")
def test_a_whole_job_sends_not_one_packet_out(island: Island, up: Up) -> None:
    """From the start of the server to its end: an upload, an address, five formats, webhooks; lookups of names count, too."""
    ready = up.ready()
    secret = json.loads(island.run(tiro("accounts", "webhook-secret", "show", "--json"), up.environ))["secret"]
    islander = [sys.executable, "-m", "tests.stubs.islander"]
    jobs = json.loads(island.run([*islander, ready["api"], ready["key"], secret, str(WORDS / "spoken.flac")]))
    assert up.stop() == 0
    assert [(job["status"], job["engine"]) for job in jobs] == [("completed", "whisper_words")] * 2
    assert all(job["files"].keys() == set(FORMATS) and all(job["files"].values()) for job in jobs)
    assert island.packets() == []


def test_the_watch_sees_lookups_and_connections(island: Island) -> None:
    """What the other test relies on."""
    island.run(["getent", "hosts", "tiro.example"], {"RES_OPTIONS": "timeout:1 attempts:1"}, expect=2)
    knock = "import socket; s = socket.socket(); s.settimeout(0.2); raise SystemExit(s.connect_ex(('203.0.113.9', 443)) == 0)"
    island.run([sys.executable, "-c", knock])
    lookups, connections = "IP protocol 17 to 192.0.2.53 port 53:", "IP protocol 6 to 203.0.113.9 port 443:"
    seen = island.packets()
    assert any(line.startswith(lookups) and "tiro" in line for line in seen)
    assert any(line.startswith(connections) for line in seen)
