"""The benchmarks' own parts: what is said in a recording, what is reported, what the sets run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec
import pytest

from bench import small_files, spoken
from bench.__main__ import SET, code, table
from bench.turns import RESULTS, Cost, Reported, report, shares, word_errors
from tiro.adapters.media import flac

BENCH = Path(__file__).parents[3] / "bench"
KEPT = Reported("one", "what", 0.5, 0.4, 0.6, 3, "<= 0.80", kept=True, day="2026-11-21")
MISSED = msgspec.structs.replace(KEPT, figure="two", kept=False)


@pytest.fixture
def no_flite(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(spoken, "_made", [])
    monkeypatch.setattr(spoken.shutil, "which", lambda _: None)


def test_without_flite_a_recording_has_its_length_and_most_of_it_is_speech(no_flite):
    made = spoken.recording(30)
    sound = flac.read(made.path.read_bytes())
    assert len(sound) == 30 * 16_000
    assert 25 < len(made.words) < 80


def test_a_recording_is_made_once(no_flite):
    first = spoken.recording(15)
    written = first.path.stat().st_mtime_ns
    assert spoken.recording(15) == first
    assert first.path.stat().st_mtime_ns == written


def test_short_recordings_differ(no_flite):
    one, other = spoken.recordings(2, seconds=10)
    assert one.words != other.words


def test_what_is_reported_is_gathered_where_the_set_looks(tmp_path, monkeypatch):
    gathered = tmp_path / "results.jsonl"
    monkeypatch.setenv(RESULTS, str(gathered))
    assert report("one", "what", [0.4, 0.5, 0.6], "<= 0.80", True, "a note") == 0
    assert report("two", "what", [0.9], "<= 0.80", False) == 1
    one, two = (msgspec.json.decode(line, type=Reported) for line in gathered.read_bytes().splitlines())
    assert (one.middle, one.least, one.most, one.times, one.notes) == (0.5, 0.4, 0.6, 3, ("a note",))
    assert not two.kept


def test_a_set_fails_for_a_miss_and_for_a_script_that_broke():
    assert code([KEPT], []) == 0
    assert code([KEPT, MISSED], []) == 1
    assert code([KEPT], [("upload", "it ended with 2 and no figure")]) == 1


def test_the_table_has_a_line_for_each_figure_and_for_what_is_missing():
    lines = table([KEPT, MISSED], [("upload", "it broke")]).splitlines()
    assert [line.split()[0] for line in lines] == ["figure", "one", "two", "upload:"]
    assert lines[2].endswith("MISSED")


@pytest.mark.parametrize("name", sorted({script.name for script in SET}))
def test_each_script_of_the_sets_is_there_and_explained(name):
    assert importlib.util.find_spec(f"bench.{name}") is not None
    assert f"`{name}`" in (BENCH / "README.md").read_text()


@pytest.mark.parametrize(("said", "rate"), [("a b c d", 0.0), ("a b d", 0.25), ("a x c d", 0.25), ("a b c d e f", 0.5)])
def test_word_errors_are_counted_by_the_words_of_the_truth(said, rate):
    assert word_errors(said.split(), "a b c d".split()) == rate


def test_shares_name_the_largest_first():
    costs = [Cost(shares={"main": 1.0, "model hosts": 3.0}), Cost(shares={"main": 2.0, "model hosts": 4.0})]
    assert shares(costs) == "CPU s by process: model hosts 3.5, main 1.5"


def test_a_loop_that_hears_some_files_in_a_round_hears_others_in_the_next():
    assert [small_files.part(5, 2, turn) for turn in range(3)] == [[0, 1], [2, 3], [4, 0]]
    assert small_files.part(5, 9, 1) == [4, 0, 1, 2, 3]


@pytest.mark.parametrize(("said", "kept"), [("a b c d", True), ("a b c", False)])
def test_small_files_are_compared_by_the_file_and_by_the_words_that_both_heard(tmp_path, monkeypatch, said, kept):
    monkeypatch.setenv(RESULTS, str(tmp_path / "results.jsonl"))
    files = [spoken.Recording(tmp_path, tuple(words.split()), 12.0) for words in ("x y", "a b", "c d", "z")]
    costs = Cost(wall_s=4.0, words=said.split()), Cost(wall_s=10.0, words="a b c d".split())
    assert small_files.judged([small_files.Round([1, 2], 4, *costs)], files) == int(not kept)
    told = msgspec.json.decode((tmp_path / "results.jsonl").read_bytes(), type=Reported)
    assert (told.middle, told.kept) == (0.2, kept)
