"""Can an engine's answer be believed? One per window, times and confidences that are numbers, text that any file can carry."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tiro.model.errors import Transient
from tiro.model.speech import Heard, HeardSegment, HeardWord

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
