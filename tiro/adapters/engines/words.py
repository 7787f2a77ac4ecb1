"""From what an engine says of its words to words with sane times, and from words to segments. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tiro.model.speech import HeardSegment, HeardWord

_NUMBERS = ("start", "end", "probability")
_OPENING = "\"'“¿([{-「『"
_CLOSING = "\"'.。,，!！?？:：”)]}、」』…;"
_SENTENCE_ENDS = ".。!！?？…"
_LONGEST_USUAL_S = 0.7
_SHORTEST_S = 0.02
PAUSE_S = 0.8
_LONGEST_SEGMENT_S = 12.0


def timed(aligned: Sequence[Mapping[str, Any]], window_s: float) -> list[HeardWord]:
    """Words in order, inside the window, with their punctuation; text keeps its leading space. Confidence is the token probability.

    `aligned` is faster-whisper's alignment: word, start, end (seconds), probability. Alignment stretches words into the silence
    before or after them; a word longer than twice the usual at the edge of a sentence gives the silence back.
    """
    plain = ({"word": w["word"], **{name: float(w[name]) for name in _NUMBERS}} for w in aligned)
    words = _glued([word for word in plain if word["word"]])
    usual_s = min(_LONGEST_USUAL_S, median([w["end"] - w["start"] for w in words if w["end"] > w["start"]] or [0.0]))
    heard: list[HeardWord] = []
    for index, word in enumerate(words):
        start_s, end_s = word["start"], word["end"]
        if usual_s and end_s - start_s > 2 * usual_s:
            if index == 0 or _ends_sentence(words[index - 1]["word"]):
                start_s = end_s - 2 * usual_s
            elif index == len(words) - 1 or _ends_sentence(word["word"]):
                end_s = start_s + 2 * usual_s
        earliest_s = heard[-1].end_s if heard else 0.0
        start_s = min(max(start_s, earliest_s), window_s)
        end_s = min(max(end_s, start_s + _SHORTEST_S), window_s)
        heard.append(HeardWord(word["word"], round(start_s, 3), round(end_s, 3), _share(word["probability"])))
    return heard


def segments(words: Sequence[HeardWord], pause_s: float = PAUSE_S) -> tuple[HeardSegment, ...]:
    """Words cut into sentences: after closing punctuation, at pauses, and where a segment grows too long.

    A word's text begins with a space where one belongs before it; the segments' words have none.
    """
    rows: list[list[HeardWord]] = []
    for word in words:
        if rows and not _parts(rows[-1], word, pause_s):
            rows[-1].append(word)
        else:
            rows.append([word])
    return tuple(_segment(row) for row in rows)


def spread(text: str, start_s: float, end_s: float, confidence: float) -> tuple[HeardWord, ...]:
    """The words of a text whose words were not timed: each gets time by its length."""
    words = text.split()
    whole = sum(map(len, words))
    heard, at_s = [], start_s
    for word in words:
        next_s = at_s + (end_s - start_s) * len(word) / whole
        heard.append(HeardWord(word, round(at_s, 3), round(next_s, 3), confidence))
        at_s = next_s
    return tuple(heard)


def _segment(row: Sequence[HeardWord]) -> HeardSegment:
    plain = tuple(HeardWord(word.text.strip(), word.start_s, word.end_s, word.confidence) for word in row)
    text = "".join(word.text for word in row).strip()
    confidence = sum(word.confidence for word in row) / len(row)
    return HeardSegment(row[0].start_s, row[-1].end_s, text, plain, round(confidence, 4))


def _parts(row: Sequence[HeardWord], word: HeardWord, pause_s: float) -> bool:
    last = row[-1]
    return (
        _ends_sentence(last.text)
        or word.start_s - last.end_s >= pause_s
        or (word.end_s - row[0].start_s > _LONGEST_SEGMENT_S and word.text.startswith(" "))
    )


def _ends_sentence(text: str) -> bool:
    return text.rstrip("\"'”)」』").endswith(tuple(_SENTENCE_ENDS))


def _glued(words: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Punctuation that stands alone goes to its word: opening to the next, closing to the one before."""
    glued: list[dict[str, Any]] = []
    opening = ""
    for word in words:
        bare = word["word"].strip()
        if not bare:
            continue
        if word["word"].startswith(" ") and all(c in _OPENING for c in bare):
            opening += word["word"] if not opening else bare
        elif glued and not opening and all(c in _CLOSING for c in bare):
            glued[-1]["word"] += bare
        else:
            glued.append({**word, "word": opening + (bare if opening else word["word"])})
            opening = ""
    if opening and glued:
        glued[-1]["word"] += opening
    return glued


def _share(probability: float) -> float:
    return round(min(max(probability, 0.0), 1.0), 4)
