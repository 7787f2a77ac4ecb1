"""What may an engine say where nobody seems to speak?"""

from __future__ import annotations

import pytest

from tiro.model.heard import CERTAIN, credible
from tiro.model.speech import HeardSegment, HeardWord

SPEECH = [(10.0, 20.0)]


def segment(
    text: str, start_s: float, end_s: float, confidence: float = 0.95, *, with_words: bool = True
) -> HeardSegment:
    texts = text.split()
    step_s = (end_s - start_s) / len(texts)
    words = tuple(
        HeardWord(one, start_s + n * step_s, start_s + (n + 1) * step_s, confidence) for n, one in enumerate(texts)
    )
    return HeardSegment(start_s, end_s, text, words if with_words else (), confidence)


def kept(*segments: HeardSegment, audible: bool = True) -> list[str]:
    return [one.text for one in credible(segments, SPEECH, lambda _: audible)]


@pytest.mark.promise("T15")
@pytest.mark.parametrize("with_words", [True, False])
def test_what_touches_speech_is_kept_whatever_it_is(with_words: bool) -> None:
    unlikely = segment("hm hm hm", 12.0, 18.0, 0.01, with_words=with_words)
    assert kept(unlikely, unlikely, audible=False) == ["hm hm hm", "hm hm hm"]


@pytest.mark.promise("T15")
def test_soft_ends_of_speech_are_speech() -> None:
    assert kept(segment("so", 9.6, 10.1, 0.1)) == ["so"]


@pytest.mark.promise("T15")
def test_elsewhere_what_is_certain_is_kept() -> None:
    assert kept(segment("la la land", 2.0, 4.0, CERTAIN)) == ["la la land"]
    assert kept(segment("la la land", 2.0, 4.0, CERTAIN - 0.01)) == []


@pytest.mark.promise("T15")
def test_elsewhere_silence_says_nothing() -> None:
    assert kept(segment("Thank you.", 2.0, 3.0), audible=False) == []


@pytest.mark.promise("T15")
def test_elsewhere_nothing_is_said_twice_in_the_same_words() -> None:
    assert kept(segment("Thank you.", 2.0, 3.0), segment(" thank you. ", 25.0, 26.0), segment("Bye.", 30.0, 31.0)) == [
        "Thank you.",
        "Bye.",
    ]


@pytest.mark.promise("T15")
@pytest.mark.parametrize("with_words", [True, False])
def test_elsewhere_nobody_speaks_faster_than_people_do(with_words: bool) -> None:
    assert kept(segment(" ".join("abcdefghij"), 2.0, 3.0, with_words=with_words)) == []


@pytest.mark.promise("T15")
def test_elsewhere_no_word_lasts_for_seconds() -> None:
    assert kept(segment("if", 2.0, 4.0)) == []
