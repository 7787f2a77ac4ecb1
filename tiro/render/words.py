"""What is shown of a transcript: its tokens in order, each with its time, and the turns they form. All formats start here.

Text comes from strangers' recordings, so whatever could act on a reader's program (control characters, line breaks,
direction overrides, half characters) is taken out before anything else looks at it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from tiro.model.transcript import AnyTranscript, Segment

PAUSE_S = 2.0
"""Where nobody can be named, a pause this long begins a new paragraph."""
_LONGEST_S = 9_999 * 3600.0
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\ufffe\uffff")
_SPACE = re.compile(r"\s+")


class Token(msgspec.Struct, frozen=True, gc=False):
    """A word as it is shown. `glue` stands before it (a space, or nothing in scripts without spaces)."""

    text: str
    glue: str
    start_s: float
    end_s: float


class Spoken(msgspec.Struct, frozen=True):
    """What one speaker says without being interrupted, at least one token. `speaker` None: nobody could be named."""

    speaker: int | None
    tokens: tuple[Token, ...]

    @property
    def start_s(self) -> float:
        """When it begins."""
        return self.tokens[0].start_s

    @property
    def end_s(self) -> float:
        """When it ends."""
        return max(token.end_s for token in self.tokens)

    @property
    def text(self) -> str:
        """One line."""
        return joined(self.tokens)


def joined(tokens: tuple[Token, ...]) -> str:
    """The tokens as text, without the glue of the first."""
    return "".join(token.text if index == 0 else token.glue + token.text for index, token in enumerate(tokens))


def clean(text: str) -> str:
    """One line of printable text: nothing that steers a terminal, a parser, a word processor or the direction of writing."""
    kept = (" " if sign.isspace() else "" if _forbidden(sign) else sign for sign in text)
    return _SPACE.sub(" ", "".join(kept)).strip()


def seconds(value: float) -> float:
    """A time that can be printed: not negative, not beyond 9,999 hours, a number."""
    return min(value, _LONGEST_S) if value > 0 else 0.0


def spoken(transcript: AnyTranscript) -> list[Spoken]:
    """The transcript as turns: neighbouring segments of one speaker are one; of nobody known, until a pause."""
    turns: list[tuple[int | None, list[Token]]] = []
    for segment in transcript.segments:
        tokens = list(tokens_of(segment))
        if not tokens:
            continue
        last = turns[-1] if turns else None
        if last is not None and last[0] == segment.speaker and not _breaks(last, tokens[0]):
            last[1].extend(tokens)
        else:
            turns.append((segment.speaker, tokens))
    return [Spoken(speaker, tuple(tokens)) for speaker, tokens in turns]


def tokens_of(segment: Segment) -> Iterator[Token]:
    """The segment's words, glued as in its text; where words and text disagree, the text with evenly spread times."""
    text = clean(segment.text)
    words = [(clean(word.text), word) for word in segment.words]
    words = [(shown, word) for shown, word in words if shown]
    if not words or (text and _bare(text) != _bare("".join(shown for shown, _ in words))):
        yield from _spread(text, seconds(segment.start_s), seconds(segment.end_s))
        return
    at = 0
    for shown, word in words:
        start_s = seconds(word.start_s)
        found = text.startswith(shown, at)
        glue = "" if found and at > 0 else " "
        at = at + len(shown) if found else max(0, text.find(shown, at)) + len(shown)
        yield Token(shown, glue, start_s, max(start_s, seconds(word.end_s)))


def _spread(text: str, start_s: float, end_s: float) -> Iterator[Token]:
    pieces = text.split()
    total = sum(map(len, pieces))
    step_s = max(0.0, end_s - start_s) / total if total else 0.0
    done = 0
    for piece in pieces:
        yield Token(piece, " ", start_s + done * step_s, start_s + (done + len(piece)) * step_s)
        done += len(piece)


def _breaks(last: tuple[int | None, list[Token]], following: Token) -> bool:
    speaker, tokens = last
    return speaker is None and following.start_s - tokens[-1].end_s >= PAUSE_S


def _bare(text: str) -> str:
    return text.replace(" ", "")


def _forbidden(sign: str) -> bool:
    return sign in _OVERRIDES or unicodedata.category(sign) in {"Cc", "Cs"}
