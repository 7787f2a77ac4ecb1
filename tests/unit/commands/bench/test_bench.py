"""`tiro bench` as somebody at a shell runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import main
from tests.media_builder import numbered, wav

ROOT = Path(__file__).parents[4]
WHISPER = ROOT / "tests" / "data" / "whisper-words"


def bench(folder: Path, *words: str, **changes: str | None) -> Result:
    environ = {"TIRO_DATABASE_URL": None, "TIRO_ENGINES": "scripted", **changes}
    return CliRunner().invoke(main, ("bench", "--data", str(folder / "data"), "--minutes", "0.1", *words), env=environ)


@pytest.mark.promise("J45")
def test_a_real_model_is_measured_and_its_settings_are_recommended(tmp_path: Path) -> None:
    """Words on standard error, one line of JSON on standard output; what was chosen at the first start is kept in the data folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIRO_")}
    told = {"TIRO_WHISPER_MODEL": str(WHISPER), "TIRO_REPLICAS": "1", "TIRO_WHISPER_CONTEXT": "full"}
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "--data", tmp_path / "data", "--minutes", "0.2", "--files", "3", "--json"],
        cwd=ROOT, env={**kept, **told, "TIRO_WHISPER_WINDOW_S": "30"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert [(run["what"], run["through"], run["files"]) for run in report["runs"]] == [
        ("one recording", "engine", 1),
        ("short files", "engine", 3),
    ]
    assert [round(run["audio_s"]) for run in report["runs"]] == [12, 36]
    assert all(run["x_real_time"] > 0 and run["took_s"] > 0 for run in report["runs"])
    assert report["model"] == "whisper_words"
    assert report["settings"][0] == "replicas = 1"
    assert report["settings"][2:] == ['whisper_context = "full"', "whisper_window_s = 30"]
    assert len(list((tmp_path / "data" / "calibration").glob("*.json"))) == 1


def test_a_person_sees_a_table_settings_and_what_was_not_measured(tmp_path: Path) -> None:
    told = bench(tmp_path, "--files", "2", "--no-whole")
    assert told.exit_code == 0, told.output
    assert "decoder and engine" in told.stdout
    assert "2 short files" in told.stdout
    assert "Not measured:" in told.stdout
    assert "Hearing one recording" in told.stderr


def test_a_recording_of_ones_own_is_heard(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    recording.write_bytes(wav(numbered(5)))
    told = bench(tmp_path, str(recording), "--files", "0", "--json")
    (run,) = json.loads(told.stdout)["runs"]
    assert (run["what"], run["audio_s"]) == ("one recording", 5.0)
    assert "name a FILE" not in told.stdout


def test_what_cannot_be_measured_says_the_way_out(tmp_path: Path) -> None:
    """No recording, an engine that hears elsewhere, a model that is not here, an installation whose server nobody named."""
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(b"no recording")
    refused = bench(tmp_path, str(noise))
    assert refused.exit_code == 1
    assert "Name a recording that plays" in refused.stderr
    hosted = bench(tmp_path, TIRO_ENGINES="assemblyai", TIRO_ASSEMBLYAI_KEY="k")
    assert "tiro doctor --measure" in hosted.stderr
    missing = bench(
        tmp_path,
        TIRO_ENGINES="faster_whisper",
        TIRO_WHISPER_MODEL="small",
        HF_HUB_OFFLINE="1",
        HF_HUB_CACHE=str(tmp_path),
    )
    assert missing.exit_code == 1
