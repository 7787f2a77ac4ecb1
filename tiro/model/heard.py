"""Can an engine's answer be believed? One per window, times that are numbers, text that files can carry; in silence what is certain."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tiro.model.errors import Transient
from tiro.model.speech import Heard, HeardSegment, HeardWord

Interval = tuple[float, float]

CERTAIN = 0.7
"""Confidence. Some engines are always sure: what they say of a hum is long words, few or very many."""
LONGEST_WORD_S = 1.5
MOST_WORDS_PER_S = 8.0
NEAR_S = 0.2
"""Speech is taken to reach so far: its soft ends are heard late and lost early."""
_ALLOWANCE = 10_000
_PER_SECOND = 1_000
"""Characters and pieces that an answer may have: some fifty times what a person says."""
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HALF = "\ufffd"


def believed(answers: Sequence[Heard], windows: Sequence[tuple[float, float]]) -> list[Heard]:
    """The answers to these windows (start_s, end_s), mended: what is no number becomes 0, what is no text is taken out.

    Raises Transient `engine_error` where there is not one answer per window, or one says more than anybody can say.
    """
    if len(answers) != len(windows):
        raise Transient("engine_error", "The engine did not answer each window once.")
    for answer, (start_s, end_s) in zip(answers, windows, strict=True):
        if _size(answer) > _ALLOWANCE + _PER_SECOND * (end_s - start_s):
            raise Transient("engine_error", "The engine heard more than anybody can say.")
    return [Heard(tuple(map(_segment, one.segments)), one.language, one.language_probability) for one in answers]


def credible(
    segments: Sequence[HeardSegment], speech: Sequence[Interval], audible: Callable[[Interval], bool]
) -> list[HeardSegment]:
    """Of what was heard in a span, speech or not: all that touches its speech; elsewhere what the engine is sure of.

    Engines make up words in noise and silence. Believed there is what is said with a confidence of `CERTAIN`, over a sound that is one
    (`audible`), as fast as people speak, and not a second time in the same words.
    """
    kept: list[HeardSegment] = []
    beside: set[str] = set()
    for segment in segments:
        if _touches(segment, speech):
            kept.append(segment)
            continue
        text = segment.text.strip().casefold()
        certain = segment.confidence >= CERTAIN and _sayable(segment) and text not in beside
        if certain and audible((segment.start_s, segment.end_s)):
            kept.append(segment)
            beside.add(text)
    return kept


def _sayable(segment: HeardSegment) -> bool:
    lengths_s = [word.end_s - word.start_s for word in segment.words] or [0.0]
    words = len(segment.words) or len(segment.text.split())
    return max(lengths_s) <= LONGEST_WORD_S and words <= MOST_WORDS_PER_S * (segment.end_s - segment.start_s)


def _touches(segment: HeardSegment, speech: Sequence[Interval]) -> bool:
    places = [(word.start_s + word.end_s) / 2 for word in segment.words] or [(segment.start_s + segment.end_s) / 2]
    return any(start_s - NEAR_S <= at_s <= end_s + NEAR_S for at_s in places for start_s, end_s in speech)


def _size(answer: Heard) -> int:
    return sum(1 + len(segment.text) + sum(1 + len(word.text) for word in segment.words) for segment in answer.segments)


def _segment(segment: HeardSegment) -> HeardSegment:
    start_s, end_s = sorted((_number(segment.start_s), _number(segment.end_s)))
    words = tuple(map(_word, segment.words))
    return HeardSegment(start_s, end_s, _text(segment.text), words, _share(segment.confidence))


def _word(word: HeardWord) -> HeardWord:
    start_s, end_s = sorted((_number(word.start_s), _number(word.end_s)))
    return HeardWord(_text(word.text), start_s, end_s, _share(word.confidence))


def _number(value: float) -> float:
    """NaN is no moment; the infinite is brought into its window where the answer is placed."""
    return value if value == value else 0.0  # noqa: PLR0124 (what does not equal itself is NaN)


def _share(value: float) -> float:
    return min(max(_number(value), 0.0), 1.0)


def _text(text: str) -> str:
    """Line breaks become spaces, halves of characters U+FFFD; control characters go."""
    return text if text.isprintable() else _UNFIT.sub(_fit, text)


def _fit(sign: re.Match[str]) -> str:
    if sign[0].isspace():
        return " "
    return _HALF if "\ud800" <= sign[0] <= "\udfff" else ""
