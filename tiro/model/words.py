"""Which words were heard on a track, and when? Parts become one line of words: in order, inside their spans, with their spaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tiro.model.errors import Permanent
from tiro.model.media import Span
from tiro.model.speech import HeardSegment, HeardWord, Part, StoredPart

WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
"""Languages that write words without spaces between them."""


class Spoken(msgspec.Struct, frozen=True, gc=False):
    """A word on its track: text with its punctuation, seconds of the recording. `spaced`: a space stands before it."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    spaced: bool
    engine: str


def line_of_words(
    parts: Iterable[Part | StoredPart], spans: Sequence[Span], language: str | None = None
) -> list[Spoken]:
    """The words of one track in the order in which they were said; `spans` are the track's.

    What an engine says about order is trusted more than its times: starts never step back, words stay inside their span and end
    before the next begins. Raises Permanent `parts_incomplete` when a span with speech has no part, or one has two, or a part no span.
    """
    by_index = _by_index(parts, spans)
    words: list[Spoken] = []
    for span in sorted(spans, key=lambda span: (span.start_s, span.index)):
        if part := by_index.get(span.index):
            words += (_inside(word, span) for word in _words(part, language))
    _put_in_step(words)
    return words


def _by_index(parts: Iterable[Part | StoredPart], spans: Sequence[Span]) -> dict[int, Part | StoredPart]:
    by_index: dict[int, Part | StoredPart] = {}
    for part in parts:
        if part.index in by_index:
            raise Permanent("parts_incomplete", f"Span {part.index} has two parts.")
        by_index[part.index] = part
    if by_index.keys() - {span.index for span in spans}:
        raise Permanent("parts_incomplete", "There is a part without a span.")
    if missing := [span.index for span in spans if span.speech and span.index not in by_index]:
        raise Permanent("parts_incomplete", f"Span {missing[0]} has no part.")
    return by_index


def _words(part: Part | StoredPart, language: str | None) -> Iterator[Spoken]:
    spaces = (part.language or language or "").split("-")[0] not in WITHOUT_SPACES
    for segment in part.segments:
        heard = [word for word in segment.words if word.text.strip()] or _spread(segment)
        if not heard:
            continue
        shown = _as_written(heard, segment.text, spaces) or _as_heard(heard, spaces)
        for word, (text, spaced) in zip(heard, shown, strict=True):
            confidence = min(max(word.confidence, 0.0), 1.0)
            yield Spoken(text, word.start_s, word.end_s, confidence, spaced, part.engine)


def _spread(segment: HeardSegment) -> list[HeardWord]:
    """Words for a segment that came without: its text, spread evenly over its time."""
    texts = segment.text.split()
    step_s = (segment.end_s - segment.start_s) / max(len(texts), 1)
    starts = [segment.start_s + step_s * number for number in range(len(texts))]
    return [
        HeardWord(text, start_s, start_s + step_s, segment.confidence)
        for text, start_s in zip(texts, starts, strict=True)
    ]


def _as_written(heard: Sequence[HeardWord], written: str, spaces: bool) -> list[tuple[str, bool]] | None:
    """Words as the segment's text writes them, with punctuation that the words lack; None where the two do not agree."""
    at, edges = 0, []
    for word in heard:
        begin = written.find(text := word.text.strip(), at)
        if begin < 0 or any(sign.isalnum() for sign in written[at:begin]):
            return None
        at = begin + len(text)
        edges.append((begin, at))
    if any(sign.isalnum() for sign in written[at:]):
        return None
    shown: list[tuple[str, bool]] = []
    previous_end = 0
    for (begin, end), (following, _) in zip(edges, [*edges[1:], (len(written), 0)], strict=True):
        gap = written[previous_end:begin]
        opening = gap if not shown else gap[_tail(gap) :]
        spaced = spaces if not shown else any(sign.isspace() for sign in gap)
        closing = written[end:following]
        closing = closing if following == len(written) else closing[: _tail(closing)]
        shown.append((f"{opening}{written[begin:end]}{closing}".strip(), spaced))
        previous_end = end
    return shown


def _tail(gap: str) -> int:
    """Where, in what stands between two words, the second word's part begins: after the last space."""
    return next((place + 1 for place in range(len(gap) - 1, -1, -1) if gap[place].isspace()), len(gap))


def _as_heard(heard: Sequence[HeardWord], spaces: bool) -> list[tuple[str, bool]]:
    """Words as they came; where any of them brings its space, the others mean to have none."""
    theirs = any(word.text[0].isspace() for word in heard)
    return [
        (word.text.strip(), word.text[0].isspace() if theirs and number else spaces)
        for number, word in enumerate(heard)
    ]


def _inside(word: Spoken, span: Span) -> Spoken:
    start_s = min(max(word.start_s, span.start_s), span.end_s)
    end_s = min(max(word.end_s, start_s), span.end_s)
    return msgspec.structs.replace(word, start_s=start_s, end_s=end_s)


def _put_in_step(words: list[Spoken]) -> None:
    """Starts and ends never step back; a word ends before a later one starts. In place: it may be all words of many hours."""
    starts: list[float] = []
    for word in words:
        starts.append(max(word.start_s, starts[-1] if starts else word.start_s))
    previous_end_s = 0.0
    for place, (start_s, border_s) in enumerate(zip(starts, _borders(starts), strict=True)):
        end_s = min(max(words[place].end_s, start_s, previous_end_s), border_s)
        words[place] = msgspec.structs.replace(words[place], start_s=start_s, end_s=end_s)
        previous_end_s = end_s


def _borders(starts: Sequence[float]) -> list[float]:
    """For each word the next start that is later than its own."""
    borders = [float("inf")] * len(starts)
    for place in range(len(starts) - 2, -1, -1):
        borders[place] = starts[place + 1] if starts[place + 1] > starts[place] else borders[place + 1]
    return borders
