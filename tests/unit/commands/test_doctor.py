"""What doctor says of sites and of speed."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from commands import measuring
from commands.findings import egress
from commands.subject import Finding
from tests.media_builder import numbered, wav


def _doctor(folder: Path, *words: str) -> list[Finding]:
    environ = {"TIRO_DATABASE_URL": None, "TIRO_ENGINES": "scripted"}
    told = CliRunner().invoke(main, ("doctor", "--json", "--data", str(folder / "data"), *words), env=environ)
    return [Finding(**one) for one in json.loads(told.stdout)]


@pytest.mark.promise("J42")
def test_doctor_counts_the_sites(tmp_path: Path) -> None:
    """At least 1,500 extractors, yt-dlp's version, and which runtime does its JavaScript (or what to install)."""
    (sites,) = [one for one in _doctor(tmp_path) if one.code == "sites"]
    assert sites.level == "ok"
    told = re.fullmatch(r"yt-dlp (20\d\d\.\d\d\.\d\d\S*), (\d+) extractors, JavaScript by (.+)\.", sites.text)
    assert told is not None
    assert int(told[2]) >= 1_500


@pytest.mark.promise("J42")
@pytest.mark.parametrize(
    ("count", "runtime", "expected"),
    [(1_500, "deno 2.9.8", ["ok"]), (1_499, "deno 2.9.8", ["fail"]), (1_800, None, ["ok", "warn"])],
)
def test_doctor_says_what_downloads_lack(
    monkeypatch: pytest.MonkeyPatch, count: int, runtime: str | None, expected: list[str]
) -> None:
    """Too few sites fail, no JavaScript is a warning with its fix."""
    monkeypatch.setattr("tiro.adapters.egress.sites.extractor_count", lambda: count)
    monkeypatch.setattr("tiro.adapters.egress.sites.js_runtime", lambda: runtime)
    found = [one for one in asyncio.run(egress(None)) if one.code != "sites_old"]  # type: ignore[arg-type]  # unasked
    assert [one.level for one in found] == expected
    assert all(one.fix for one in found if one.level == "warn")


@pytest.mark.promise("J45")
@pytest.mark.parametrize(("promised", "code", "level"), [(0.001, "speed", "ok"), (1e9, "speed_low", "warn")])
def test_a_slow_machine_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promised: float, code: str, level: str
) -> None:
    """How many times real time, and below what people expect also what to do about it."""
    recording = tmp_path / "talk.wav"
    recording.write_bytes(wav(numbered(5)))
    assert measuring.PROMISED == 6.0
    monkeypatch.setattr(measuring, "PROMISED", promised)
    *_, speed = _doctor(tmp_path, "--measure", str(recording))
    assert (speed.code, speed.level) == (code, level)
    assert re.search(r"[\d.]+ x real time \(5 s in", speed.text)
    assert bool(speed.fix) == (level == "warn")


@pytest.mark.promise("T35")
@pytest.mark.parametrize(("speed", "warned"), [(5.4, True), (5.5, False)])
def test_a_machine_that_answers_too_late_is_warned_of(speed: float, warned: bool) -> None:
    """Ten minutes of audio within the 110 seconds for which a caller waits."""
    found = measuring.waited_for(speed)
    assert [(one.code, one.level, bool(one.fix)) for one in found] == ([("sync_slow", "warn", True)] if warned else [])
