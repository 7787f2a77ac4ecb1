"""Aligned tokens become words with sane times, and words become sentences."""

from __future__ import annotations

import itertools

import numpy as np

from tiro.adapters.engines.words import segments, spread, timed
from tiro.model.speech import HeardWord


def aligned(*words):
    return [
        {"word": w, "start": np.float64(s), "end": np.float64(e), "probability": np.float64(0.9)} for w, s, e in words
    ]


def test_punctuation_goes_to_its_word():
    words = timed(
        aligned(
            ("\u00a0", 0, 0), (' "', 0, 0.1), ("Yes", 0.1, 0.4), (",", 0.4, 0.4), (" no", 0.5, 0.8), ('."', 0.8, 0.8)
        ),
        2.0,
    )
    assert [word.text for word in words] == [' "Yes,', ' no."']


def test_a_word_stretched_into_silence_gives_it_back():
    words = timed(aligned((" One", 0.0, 5.0), (" two", 5.0, 5.3), (" three.", 5.3, 9.0), (" Four", 9.0, 9.3)), 10.0)
    assert [(w.start_s, w.end_s) for w in words][1] == (5.0, 5.3)
    assert words[0].start_s > 3.0
    assert words[2].end_s < 7.0


def test_times_never_step_back_nor_leave_the_window():
    words = timed(aligned((" a", 0.0, 0.5), (" b", 0.3, 0.4), (" c", 0.4, 9.9)), 1.0)
    assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(words))
    assert all(0 <= word.start_s <= word.end_s <= 1.0 for word in words)


def test_sentences_end_at_punctuation_and_at_pauses():
    words = [HeardWord(t, s, s + 0.3, 0.5) for t, s in ((" One", 0), (" two.", 0.4), (" Three", 0.8), (" four", 3.0))]
    assert [segment.text for segment in segments(words)] == ["One two.", "Three", "four"]
    assert [word.text for word in segments(words)[0].words] == ["One", "two."]


def test_a_script_without_spaces_keeps_its_text():
    words = [HeardWord(t, s, s + 0.2, 0.5) for t, s in (("你", 0), ("好", 0.2), ("。", 0.4))]
    assert segments(words)[0].text == "你好。"


def test_untimed_words_share_the_time_by_length():
    assert [(w.text, w.start_s, w.end_s) for w in spread("a bbb", 1.0, 5.0, 0.5)] == [
        ("a", 1.0, 2.0),
        ("bbb", 2.0, 5.0),
    ]
