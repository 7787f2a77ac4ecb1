"""Which windows share a pass, whose a word is, and when its windows are heard again alone."""

from __future__ import annotations

import numpy as np
import pytest

from tiro.adapters.engines.hosts.whisper.passes import FULL, GAP, Pass, Place, alone, divided, features, shared, short

PAIR = Pass((Place(0, 0, 300), Place(1, 300 + GAP, 300)))
"""Three seconds each, three quarters of a second apart; sound from 0.5 to 2.5 s of each."""


def loud(frames=300):
    peaks = np.zeros(frames, np.float32)
    peaks[50 : frames - 50] = 0.5
    return peaks


def word(text, start, end, probability=0.9):
    return {"word": text, "start": start, "end": end, "probability": probability}


def given(*words):
    heard, doubted = divided(words, PAIR, {0: loud(), 1: loud()})
    return {window: [one["word"] for one in row] for window, row in heard.items()}, doubted


def test_a_word_that_alignment_begins_in_the_silence_before_it_is_the_windows_in_which_it_ends():
    words = word("a", 0.0, 1.2), word("b", 1.2, 1.9), word("c", 1.9, 2.5), word("d", 2.5, 5.0), word("e", 5.6, 6.25)
    assert given(*words) == ({0: ["a", "b", "c"], 1: ["d", "e"]}, set())


def test_a_word_without_time_goes_with_the_one_after_it():
    heard, _ = given(word("a", 0.0, 2.5), word("b", 2.9, 2.9), word("c", 2.9, 5.0))
    assert heard == {0: ["a"], 1: ["b", "c"]}


def test_words_come_back_in_the_time_of_their_window():
    heard, _ = divided([word("a", 0.0, 2.0), word("b", 4.25, 5.25)], PAIR, {0: loud(), 1: loud()})
    assert (heard[1][0]["start"], heard[1][0]["end"]) == pytest.approx((0.5, 1.5))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([word("a", 0.5, 2.4)], id="sound without a word"),
        pytest.param([word("a", 0.5, 1.0), word("b", 1.0, 5.5)], id="a word across the gap"),
        pytest.param([word("a", 0.5, 2.4), word("b", 2.6, 3.4), word("c", 3.9, 5.0)], id="a word in the gap"),
        pytest.param(
            [word("a", 0.5, 2.45), word("b", 2.45, 4.3), word("c", 4.3, 6.2)], id="a first word that begins too early"
        ),
        pytest.param([word("a", 0.5, 2.4), word("b", 4.0, 5.0, 0.1)], id="an improbable word"),
    ],
)
def test_doubtful_windows_are_named(words):
    assert 1 in given(*words)[1]


@pytest.mark.parametrize(
    ("end", "what"), [(1.2, "what follows has no word"), (2.5, "the last word has all that follows")]
)
def test_a_short_context_that_stops_early_is_doubted(end, what):
    own = Pass((Place(0, 0, 300),), 500)
    whole = [word("a", 0.5, 1.2), word("b", 1.2, 1.9), word("c", 1.9, 2.5)]
    assert divided(whole, own, {0: loud()})[1] == set()
    assert divided([word("a", 0.5, end)], own, {0: loud()})[1] == {0}, what


@pytest.mark.parametrize(("probability", "again"), [(0.55, set()), (0.45, {0})])
def test_a_short_context_is_doubted_for_a_word_that_is_as_likely_wrong_as_right(probability, again):
    own = Pass((Place(0, 0, 300),), 400)
    words = [word("a", 0.5, 1.2), word("b", 1.2, 1.9, probability), word("c", 1.9, 2.5)]
    assert divided(words, own, {0: loud()})[1] == again


def test_short_windows_share_in_order_and_a_silence_apart():
    passes = shared({4: 300, 5: 200, 6: 2900, 7: 300, 9: 100})
    assert [[place.window for place in one.places] for one in passes] == [[4, 5], [6], [7, 9]]
    assert passes[0].places[1].start == 300 + GAP
    assert all(one.size <= one.frames == FULL for one in passes)


def test_a_window_of_its_own_length_leaves_room_after_it_and_is_no_longer_than_whisper_knows():
    one, two = short({0: 350, 1: 2950})
    assert (one.frames, one.alone) == (500, False)
    assert (two.frames, two.alone) == (FULL, True)


def test_a_windows_features_are_its_own_whoever_shares_its_pass():
    mels = [np.full((80, size), level, np.float32) for size, level in ((300, 0.5), (300, 1.5))]
    together = features(PAIR, mels)
    apart = features(alone({1: 300})[0], mels)
    assert np.array_equal(together[:, 375:675], apart[:, :300])
    assert not together[:, 675:].any()
