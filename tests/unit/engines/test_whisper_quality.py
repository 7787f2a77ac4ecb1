"""Which of a model's answers count, and that our features are those of faster-whisper."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from tiro.adapters.engines.hosts.whisper.mel import log_mel, peaks
from tiro.adapters.engines.hosts.whisper.quality import Attempt, believable, better, compression, real
from tiro.model.speech import HeardSegment, HeardWord

LOUD = np.full(1000, 0.5, np.float32)


def said(text, start_s, end_s, confidence=0.9):
    return HeardWord(text, start_s, end_s, confidence)


def sentence(word):
    return HeardSegment(word.start_s, word.end_s, word.text, (word,), word.confidence)


def test_features_are_those_of_faster_whisper():
    theirs = FeatureExtractor()
    for samples in (1600, 12_345, 448_000):
        sound = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
        ours = log_mel(sound, theirs.mel_filters)
        assert ours.shape == (80, samples // 160)
        np.testing.assert_allclose(ours, theirs(sound)[:, : samples // 160], atol=1e-4)


@pytest.mark.parametrize(
    ("attempt", "sound"),
    [
        pytest.param(Attempt([], -0.3, 0.1, 1.2), True, id="speech"),
        pytest.param(Attempt([], -0.3, 0.1, 2.5), False, id="a loop"),
        pytest.param(Attempt([], -1.1, 0.1, 1.2), False, id="a guess"),
        pytest.param(Attempt([], -1.1, 0.7, 1.2), True, id="silence"),
    ],
)
def test_loops_and_guesses_are_unsound_and_silence_is_an_answer(attempt, sound):
    assert attempt.sound is sound


def test_of_two_unsound_answers_the_one_counts_that_does_not_loop():
    loop, guess = Attempt([1], -0.1, 0.0, 9.0), Attempt([2], -3.0, 0.0, 1.0)
    assert better(loop, guess) is guess


def test_a_loop_can_be_said_much_shorter():
    assert compression("thank you " * 30) > 2.4 > compression("four blue one twenty eleven stop sixteen up twenty")


def test_words_where_nothing_sounds_are_not_believed():
    half = np.concatenate([np.full(500, 0.5), np.zeros(500)]).astype(np.float32)
    assert [w.text for w in believable([said("here", 1, 2), said("nowhere", 7, 8)], half)] == ["here"]


@pytest.mark.parametrize(
    ("words", "believed"),
    [
        pytest.param([("a", 1, 4, 0.9), ("b", 6, 6.02, 0.95), ("c", 6.02, 9, 0.9)], "abc", id="one sure word"),
        pytest.param([("a", 1, 4, 0.9), ("b", 6, 6.02, 0.85), ("c", 6.02, 9, 0.9)], "ac", id="an unsure one"),
        pytest.param(
            [("a", 1, 4, 0.9), ("b", 6, 6.2, 0.95), ("c", 6.2, 6.5, 0.95), ("d", 6.5, 9, 0.9)], "ad", id="two"
        ),
        pytest.param([("a", 1, 4, 0.9), ("b", 6, 6.2, 0.95)], "a", id="the last"),
        pytest.param([("b", 6, 6.2, 0.95), ("c", 6.2, 9, 0.9)], "c", id="the first"),
    ],
)
def test_a_sure_word_in_the_pause_between_two_that_sound_is_believed(words, believed):
    """Alignment gave a neighbour its time."""
    pause = LOUD.copy()
    pause[500:800] = 0.0
    assert "".join(word.text for word in believable([said(*word) for word in words], pause)) == believed


def test_an_anomalous_word_over_and_over_is_cut_short_and_a_plain_one_is_not():
    def four(confidence):
        return [said("no", n, n + 0.3, confidence) for n in range(6)]

    assert len(believable(four(0.05), LOUD)) == 3
    assert len(believable(four(0.9), LOUD)) == 6


def test_an_anomalous_sentence_apart_over_something_soft_is_made_up():
    soft = LOUD.copy()
    soft[400:] = 0.005
    spoken, made_up = sentence(said("yes", 0.5, 1.0)), sentence(said("you", 6.0, 9.0, 0.05))
    assert real([spoken, made_up], soft) == (spoken,)
    assert real([spoken, made_up], LOUD) == (spoken, made_up)


def test_the_loudest_sample_of_each_hundredth_of_a_second():
    sound = np.zeros(480, np.float32)
    sound[200] = -0.5
    assert peaks(sound).tolist() == [0.0, 0.5, 0.0]
