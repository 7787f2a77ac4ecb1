"""Are cues short enough to read, in order, one at a time, and complete?"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from tests.unit.render.samples import ordered, patient, said, segment, transcript, wild
from tiro.model.transcript import Transcript
from tiro.render.cues import LINE_CHARS, LONGEST_MS, SHORTEST_MS, cues
from tiro.render.words import spoken


def bare(text: str) -> str:
    return "".join(text.split())


def limits_hold(made: Transcript) -> None:
    shown = cues(made)
    for cue in shown:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= LINE_CHARS for line in cue.lines)
        assert SHORTEST_MS <= cue.end_ms - cue.start_ms <= LONGEST_MS
    for before, after in pairwise(shown):
        assert before.end_ms <= after.start_ms


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_limits_hold(made: Transcript) -> None:
    limits_hold(made)


@patient
@given(wild)
@pytest.mark.promise("J47")
def test_limits_hold_whatever_the_times(made: Transcript) -> None:
    limits_hold(made)


@patient
@given(ordered)
def test_every_word_is_shown_once_and_in_order(made: Transcript) -> None:
    shown = "".join(bare("".join(cue.lines)) for cue in cues(made))
    assert shown == bare("".join(turn.text for turn in spoken(made)))


@patient
@given(wild)
def test_where_voices_overlap_each_keeps_its_words(made: Transcript) -> None:
    shown = sorted(bare("".join("".join(cue.lines) for cue in cues(made))))
    assert shown == sorted(bare("".join(turn.text for turn in spoken(made))))


def test_a_cue_never_holds_two_speakers() -> None:
    made = transcript([said("Yes.", 0, 0), said("No.", 0.3, 1), said("Yes.", 0.6, 0)])
    assert [(cue.speaker, cue.lines) for cue in cues(made)] == [(0, ("Yes.",)), (1, ("No.",)), (0, ("Yes.",))]


def test_a_voice_across_another_is_shown_where_it_was_heard() -> None:
    long = "one two three four five six seven eight nine ten " * 2
    made = transcript([said(long.strip(), 0, 0, word_s=1.0), said("yes", 8.0, 1)])
    assert [cue.speaker for cue in cues(made)][:3] == [0, 0, 1] or [cue.speaker for cue in cues(made)][1] == 1


def test_a_pause_ends_a_cue() -> None:
    made = transcript([said("one two", 0, 0), said("three four", 5, 0)])
    assert [(cue.start_ms, cue.lines) for cue in cues(made)] == [(0, ("one two",)), (5000, ("three four",))]


def test_words_begin_where_they_are_heard_when_there_is_time() -> None:
    made = transcript([said("one two three", 100.25, 0)])
    (cue,) = cues(made)
    assert (cue.start_ms, cue.end_ms) == (100_250, 101_250)


def test_two_lines_are_of_about_the_same_length() -> None:
    (cue,) = cues(transcript([said("the quick brown fox jumps over the lazy dog again", 0, 0, word_s=0.2)]))
    assert cue.lines == ("the quick brown fox jumps", "over the lazy dog again")


def test_a_word_longer_than_a_line_is_cut_and_shares_its_time() -> None:
    shown = cues(transcript([segment(["x" * 168], [(0.0, 8.0)], 0)]))
    assert [cue.lines for cue in shown] == [("x" * 42, "x" * 42)] * 2
    assert [cue.start_ms for cue in shown] == [0, 4000]


def test_an_accent_stays_with_its_letter() -> None:
    shown = cues(transcript([segment(["x" + "e\u0301" * 60], [(0.0, 5.0)], 0)]))
    assert not any(line.startswith("\u0301") for cue in shown for line in cue.lines)


def test_scripts_without_spaces_stay_without() -> None:
    made = transcript([segment(["漢", "字", "は"], [(0, 0.5), (0.5, 1), (1, 1.5)], 0, glue="")])
    assert [cue.lines for cue in cues(made)] == [("漢字は",)]


def test_nothing_said_is_no_cue() -> None:
    assert cues(transcript([])) == []
    assert cues(transcript([segment([" ", "\x00"], [(0, 1), (1, 2)], 0)])) == []
