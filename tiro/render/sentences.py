"""Where does a sentence begin and end? The transcript in sentences and in single words, each with times that follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tiro.model.transcript import AnyTranscript
from tiro.render.words import Token, joined, spoken

ENDS = tuple(".?!…。？！؟।॥")
PAUSE_S = 1.5
"""Engines that hear no punctuation are cut where nobody speaks for so long,"""
LONGEST_S = 30.0
"""and here at the latest."""
_CLOSING = "\"'”’»›)]}」』）"
_TITLES = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs."})


class Sentence(msgspec.Struct, frozen=True):
    """Something that was said, in whole milliseconds; at least one long."""

    start_ms: int
    end_ms: int
    text: str


def sentences(transcript: AnyTranscript) -> list[Sentence]:
    """In the order of their times, none overlapping the next; every word once. Where voices overlap, theirs alternate."""
    return _timed(group for turn in spoken(transcript) for group in _groups(turn.tokens))


def single_words(transcript: AnyTranscript) -> list[Sentence]:
    """The same, word by word."""
    return _timed((token,) for turn in spoken(transcript) for token in turn.tokens)


def whole_text(transcript: AnyTranscript) -> str:
    """All that was said, on one line."""
    return " ".join(turn.text for turn in spoken(transcript))


def _groups(tokens: Iterable[Token]) -> Iterator[tuple[Token, ...]]:
    group: list[Token] = []
    for token in tokens:
        if group and _ends(group, token):
            yield tuple(group)
            group = []
        group.append(token)
    if group:
        yield tuple(group)


def _ends(group: Sequence[Token], following: Token) -> bool:
    """Whether the sentence ends before this token."""
    last = group[-1]
    if following.start_s - last.end_s >= PAUSE_S or following.end_s - group[0].start_s > LONGEST_S:
        return True
    bare = last.text.rstrip(_CLOSING)
    return bare.endswith(ENDS) and bare.lower() not in _TITLES and not following.text[0].islower()


def _timed(groups: Iterable[tuple[Token, ...]]) -> list[Sentence]:
    drafts = [(group[0].start_s, max(token.end_s for token in group), joined(group)) for group in groups]
    drafts.sort(key=lambda draft: draft[0])
    starts: list[int] = []
    for start_s, _, _ in drafts:
        starts.append(max(_ms(start_s), starts[-1] + 1 if starts else 0))
    made = []
    for index, (start_ms, (_, end_s, text)) in enumerate(zip(starts, drafts, strict=True)):
        end_ms = max(_ms(end_s), start_ms + 1)
        if index + 1 < len(starts):
            end_ms = min(end_ms, starts[index + 1])
        made.append(Sentence(start_ms, end_ms, text))
    return made


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
