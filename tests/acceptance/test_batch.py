"""`tiro batch` as a person runs it: interrupted, killed, gone on with; nothing done or charged twice, nothing left out."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.sdks import Service, service
from tests.acceptance.up import ROOT, environ, run, tiro
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("batch")]
FILES, SECONDS, BROKEN = 30, 2, 7


class Batch:
    """A folder of recordings, one of them broken, and `tiro batch` over it against a server whose engine waits for `open()`."""

    def __init__(self, folder: Path, served: Service, gate: Path) -> None:
        self.recordings, self.out = folder / "recordings", folder / "out"
        self.served = served
        self._gate = gate
        self.calls = folder / "calls.jsonl"
        for n in range(FILES):
            file = self.recordings / f"day {n % 3}" / f"{n:02}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"no recording" * 1000 if n == BROKEN else wav(numbered(SECONDS, first=n * SECONDS)))

    def open(self) -> None:
        self._gate.touch()

    def words(self, *more: str) -> list[str]:
        return ["batch", str(self.recordings), "--out", str(self.out), *more]

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            tiro(*self.words(*more)), env=environ(self.served.data), cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *more: str, expect: int) -> str:
        return run(self.served.data, *self.words(*more), expect=expect).stderr

    def journal(self, kind: str) -> list[dict[str, Any]]:
        file = self.out / ".tiro-batch/journal.jsonl"
        lines = [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []
        return [line for line in lines if line["type"] == kind]

    def until(self, holds: Callable[[], object]) -> None:
        """The test's own time limit ends it."""
        while not holds():
            time.sleep(0.01)

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.out / "report.json").read_bytes())
        return report

    def check_whole(self) -> None:
        """Every file but the broken one has its own text, was heard once and charged once."""
        for n in range(FILES):
            result = self.out / f"day {n % 3}" / f"{n:02}.wav.txt"
            said = [word.strip(".\n").lower() for word in result.read_text().split()] if result.exists() else []
            assert said == ([] if n == BROKEN else [f"w{n * SECONDS + s}" for s in range(SECONDS)])
        totals = self.report()["totals"]
        assert (totals["completed"], totals["failed"], totals["pending"]) == (FILES - 1, 1, 0)
        seconds = (FILES - 1) * SECONDS
        assert totals["seconds"] == seconds
        captures = self.served.ledger(self.served.owner, "capture")
        assert sum(line["seconds"] for line in captures) == seconds
        assert totals["cost"] == sum(line["amount_micros"] for line in captures) / 1_000_000
        heard = Counter(word for line in self.calls.read_bytes().splitlines() for word in json.loads(line)["words"])
        assert set(heard.values()) == {1}


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[Batch]:
    gate = tmp_path / "gate"
    with service(tmp_path, TIRO_ENGINES=f"scripted:hold={gate};log={tmp_path / 'calls.jsonl'}") as served:
        yield Batch(tmp_path, served, gate)


def test_a_batch_that_was_left_goes_on_at_the_server_and_is_come_back_to(batch: Batch) -> None:
    going = batch.start()
    batch.until(lambda: batch.journal("started"))
    going.send_signal(signal.SIGINT)
    said, _ = going.communicate(timeout=60)
    assert going.returncode == 130
    (job_id,) = [line["job_id"] for line in batch.journal("created")]
    assert f"Leaving: {job_id} goes on at the server. Come back with the same command and --resume." in said
    assert batch.report()["totals"]["pending"] == FILES
    assert "Go on with it by adding --resume" in batch.run(expect=2)
    batch.open()
    said = batch.run("--resume", expect=1)
    assert f"{FILES - 1} of {FILES} recordings transcribed, 1 failed" in said
    assert "07.wav: The format of the file is not supported" in said
    batch.check_whole()
    assert len(batch.journal("created")) == 1
    (batch.out / "day 0/00.wav.txt").unlink()
    (batch.recordings / "day 1/07.wav").write_bytes(wav(numbered(SECONDS, first=500)))
    assert f"{FILES} of {FILES} recordings transcribed" in batch.run("--resume", expect=0)
    assert (batch.out / "day 0/00.wav.txt").exists()
    captures = batch.served.ledger(batch.served.owner, "capture")
    assert sum(line["seconds"] for line in captures) == FILES * SECONDS


def test_a_batch_that_was_killed_while_it_uploaded_brings_the_rest(batch: Batch) -> None:
    batch.open()
    going = batch.start()
    batch.until(lambda: batch.journal("brought"))
    going.send_signal(signal.SIGKILL)
    going.communicate(timeout=60)
    there = len(batch.journal("brought"))
    batch.run("--resume", expect=1)
    assert len(batch.journal("created")) == 1
    assert len(batch.journal("brought")) == FILES
    assert there <= len({line["reference"] for line in batch.journal("brought")}) == FILES
    batch.check_whole()


def test_ctrl_c_twice_cancels_at_the_server_and_nothing_is_charged(batch: Batch) -> None:
    going = batch.start()
    assert going.stdout is not None
    batch.until(lambda: batch.journal("started"))
    going.send_signal(signal.SIGINT)
    batch.until(lambda: "Ctrl-C again" in going.stdout.readline())  # type: ignore[union-attr]  # asserted above
    going.send_signal(signal.SIGINT)
    said, _ = going.communicate(timeout=60)
    assert going.returncode == 130
    assert "Cancelled." in said
    batch.open()
    (job_id,) = [line["job_id"] for line in batch.journal("created")]
    job = batch.served.get(f"{batch.served.url}/v1/transcribe/{job_id}", batch.served.owner).json()
    assert job["status"] == "failed_cancelled"
    assert batch.report()["totals"]["failed"] == FILES
    batch.run("--resume", expect=1)
    batch.check_whole()


def test_a_list_of_files_and_addresses_is_transcribed_in_all_formats_by_a_server_of_its_own(tmp_path: Path) -> None:
    """Nothing runs here: one is started for as long as it takes."""
    (tmp_path / "a.wav").write_bytes(wav(numbered(3)))
    remote = wav(numbered(3, first=10))
    with ScriptedHttp({"/b.wav": lambda visit: visit.answer(body=remote)}) as there:
        manifest = tmp_path / "list.csv"
        manifest.write_text(f"reference_id,file,url,language\nlocal,a.wav,,en\nremote,,{there.url('/b.wav')},\n")
        wishes = ["--out", str(tmp_path / "out"), "--format", "json", "--format", "txt", "--format", "vtt", "--json"]
        done = run(tmp_path / "data", "batch", str(manifest), *wishes, TIRO_EGRESS_ALLOW="127.0.0.0/8")
    report = json.loads(done.stdout)
    assert done.stderr == ""
    assert (report["totals"]["completed"], report["totals"]["seconds"]) == (2, 6)
    forms = ("json", "txt", "vtt")
    assert [file["outputs"] for file in report["files"]] == [
        [f"{n}.{form}" for form in forms] for n in ("local", "remote")
    ]
    item = json.loads((tmp_path / "out/remote.json").read_bytes())
    assert (item["reference_id"], item["billed_seconds"]) == ("remote", 3)
    assert (tmp_path / "out/local.vtt").read_text().startswith("WEBVTT\n\n00:00.000 --> ")
    assert json.loads((tmp_path / "out/report.json").read_bytes()) == report
    assert [file.name for file in (tmp_path / "out/.tiro-batch").iterdir()] == ["journal.jsonl"]
