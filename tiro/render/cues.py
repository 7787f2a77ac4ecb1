"""How speech becomes subtitles: cues of two short lines that a person can read, one after the other.

A cue holds one speaker, at most two lines of 42 characters and at most 7 s; it ends at a pause, and after a sentence when a
line is full. Cues never overlap: each begins where its words do, or as soon as the one before has been shown long enough.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tiro.model.transcript import AnyTranscript
from tiro.render.words import Token, joined, spoken

LINE_CHARS = 42
LINES = 2
LONGEST_MS = 7_000
SHORTEST_MS = 500
"""No cue is shown for less."""
COMFORTABLE_MS = 1_000
"""A cue stays this long when nothing follows at once."""
PAUSE_S = 1.5
_SENTENCE_ENDS = tuple(".?!…。？！؟")
_JOINS = frozenset("\u200d\ufe0e\ufe0f")


class Cue(msgspec.Struct, frozen=True):
    """One or two lines on the screen, in whole milliseconds."""

    start_ms: int
    end_ms: int
    speaker: int | None
    lines: tuple[str, ...]


def cues(transcript: AnyTranscript) -> list[Cue]:
    """All cues, in the order of their times; every word once. Where voices overlap, their cues alternate."""
    drafts = [
        (group[0].start_s, max(token.end_s for token in group), turn.speaker, lines(group))
        for turn in spoken(transcript)
        for group in _groups(_short(_forward(turn.tokens)))
    ]
    drafts.sort(key=lambda draft: draft[0])
    starts: list[int] = []
    for start_s, _, _, _ in drafts:
        starts.append(max(_ms(start_s), starts[-1] + SHORTEST_MS if starts else 0))
    timed = []
    for index, (start_ms, (_, end_s, speaker, shown)) in enumerate(zip(starts, drafts, strict=True)):
        end_ms = min(max(_ms(end_s), start_ms + COMFORTABLE_MS), start_ms + LONGEST_MS)
        if index + 1 < len(starts):
            end_ms = min(end_ms, starts[index + 1])
        timed.append(Cue(start_ms, end_ms, speaker, shown))
    return timed


def lines(tokens: Sequence[Token]) -> tuple[str, ...]:
    """One line when it fits, else two of about the same length."""
    group = tuple(tokens)
    whole = joined(group)
    if len(whole) <= LINE_CHARS:
        return (whole,)
    halves = [(joined(group[:cut]), joined(group[cut:])) for cut in range(1, len(group))]
    return min(halves, key=lambda pair: max(map(len, pair)))


def _groups(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    room = _Room()
    for token in tokens:
        if group and (_ends(group, token) or not room.takes(token)):
            yield group
            group, room = [], _Room()
        room.put(token)
        group.append(token)
    if group:
        yield group


def _ends(group: list[Token], token: Token) -> bool:
    """Whether the cue is to end before this token, for its time or its sense."""
    last = group[-1]
    if token.start_s - last.end_s >= PAUSE_S or (token.end_s - group[0].start_s) * 1000 > LONGEST_MS:
        return True
    return last.text.endswith(_SENTENCE_ENDS) and len(joined(tuple(group))) > LINE_CHARS // 2


class _Room:
    """The space left in a cue when its lines are filled one after the other; so filled, two lines always suffice."""

    def __init__(self) -> None:
        self._line = 1
        self._used = 0

    def takes(self, token: Token) -> bool:
        return self._line < LINES or self._after(token) <= LINE_CHARS

    def put(self, token: Token) -> None:
        if self._after(token) > LINE_CHARS:
            self._line += 1
            self._used = 0
        self._used = self._after(token)

    def _after(self, token: Token) -> int:
        return self._used + len(token.text) + (len(token.glue) if self._used else 0)


def _forward(tokens: Iterable[Token]) -> Iterator[Token]:
    """The same tokens, none beginning before the one before it."""
    floor_s = 0.0
    for token in tokens:
        floor_s = max(floor_s, token.start_s)
        yield Token(token.text, token.glue, floor_s, max(floor_s, token.end_s))


def _short(tokens: Iterable[Token]) -> Iterator[Token]:
    """Tokens that fit into a line; what is longer is cut, its time shared out by length."""
    for token in tokens:
        if len(token.text) <= LINE_CHARS:
            yield token
            continue
        step_s = (token.end_s - token.start_s) / len(token.text)
        at = 0
        while at < len(token.text):
            end = _cut(token.text, at)
            begin_s = token.start_s + at * step_s
            yield Token(token.text[at:end], "" if at else token.glue, begin_s, token.start_s + end * step_s)
            at = end


def _cut(text: str, at: int) -> int:
    """Where the piece from `at` ends: after a line's length, but before a letter rather than before its accents."""
    end = full = min(len(text), at + LINE_CHARS)
    while end < len(text) and at + 1 < end and (unicodedata.combining(text[end]) or text[end] in _JOINS):
        end -= 1
    return end if end > at + LINE_CHARS // 2 else full


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
