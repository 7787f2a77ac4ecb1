"""Who said a word? Words meet turns: by greatest overlap, and the borders of turns give way to those of phrases."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from tiro.model.speech import Turn
from tiro.model.words import Spoken

NEAR_S = 0.75
"""A word outside of every turn belongs to the nearest one that is not further away."""

PHRASE_PAUSE_S = 0.3
STRAY_S = 0.6
STRAY_WORDS = 2
"""A run of so few words, no longer than `STRAY_S`, at a phrase's edge is the imprecision of a turn's border."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
_CLOSERS = "\"'”’)]»」』"


def speakers_of(words: Sequence[Spoken], turns: Sequence[Turn]) -> list[int | None]:
    """A speaker per word, numbered by first appearance without holes; None where no turn is near. Turns exclusive and ordered."""
    named = _by_overlap(words, turns)
    for begin, end in phrases(words):
        named[begin:end] = _snapped(words[begin:end], named[begin:end])
    return numbered(named)


def numbered(speakers: Iterable[int | None]) -> list[int | None]:
    """The same speakers, counted from 0 in the order in which they first appear."""
    numbers: dict[int, int] = {}
    return [None if speaker is None else numbers.setdefault(speaker, len(numbers)) for speaker in speakers]


def ends_sentence(text: str) -> bool:
    """Whether a word closes a sentence, by its last sign."""
    return text.rstrip(_CLOSERS).endswith(SENTENCE_ENDS)


def phrases(words: Sequence[Spoken]) -> Iterator[tuple[int, int]]:
    """[begin, end) of words said in one go: no pause of `PHRASE_PAUSE_S` and no sentence's end inside."""
    begin = 0
    for place in range(1, len(words) + 1):
        if (
            place == len(words)
            or words[place].start_s - words[place - 1].end_s >= PHRASE_PAUSE_S
            or ends_sentence(words[place - 1].text)
        ):
            yield begin, place
            begin = place


def _by_overlap(words: Sequence[Spoken], turns: Sequence[Turn]) -> list[int | None]:
    ends = [turn.end_s for turn in turns]
    named: list[int | None] = []
    for word in words:
        first = bisect_right(ends, word.start_s)
        named.append(_most_overlapping(word, turns, first))
        if named[-1] is None:
            named[-1] = _nearest(word, turns[max(first - 1, 0) : first + 1])
    return named


def _most_overlapping(word: Spoken, turns: Sequence[Turn], first: int) -> int | None:
    shares: dict[int, float] = {}
    for place in range(first, len(turns)):
        turn = turns[place]
        if turn.start_s >= word.end_s:
            break
        share_s = min(turn.end_s, word.end_s) - max(turn.start_s, word.start_s)
        shares[turn.speaker] = shares.get(turn.speaker, 0.0) + share_s
    return max(shares, key=lambda speaker: shares[speaker]) if shares else None


def _nearest(word: Spoken, turns: Sequence[Turn]) -> int | None:
    away = [(max(turn.start_s - word.end_s, word.start_s - turn.end_s, 0.0), turn.speaker) for turn in turns]
    near = [(distance_s, speaker) for distance_s, speaker in away if distance_s <= NEAR_S]
    return min(near)[1] if near else None


def _snapped(words: Sequence[Spoken], speakers: Sequence[int | None]) -> list[int | None]:
    """Stray words of a phrase go to the run beside them: short runs at its edges, single short words inside."""
    runs = _runs(speakers)
    named = list(speakers)
    for place, (begin, end) in enumerate(runs):
        neighbour = _neighbour(speakers, runs, place)
        if neighbour is not None and speakers[begin] is not None and _is_stray(words[begin:end], len(words)):
            named[begin:end] = [neighbour] * (end - begin)
    return named


def _runs(speakers: Sequence[int | None]) -> list[tuple[int, int]]:
    borders = [place for place in range(1, len(speakers)) if speakers[place] != speakers[place - 1]]
    return list(zip([0, *borders], [*borders, len(speakers)], strict=True))


def _neighbour(speakers: Sequence[int | None], runs: Sequence[tuple[int, int]], place: int) -> int | None:
    """Who takes over if this run is stray: the longer run beside an edge; inside, only when both sides are the same speaker."""
    before = speakers[runs[place - 1][0]] if place > 0 else None
    after = speakers[runs[place + 1][0]] if place + 1 < len(runs) else None
    if 0 < place < len(runs) - 1:
        return before if before == after else None
    beside = runs[place - 1] if place > 0 else runs[1] if len(runs) > 1 else None
    if beside is None or beside[1] - beside[0] <= runs[place][1] - runs[place][0]:
        return None
    return before if place > 0 else after


def _is_stray(run: Sequence[Spoken], phrase_words: int) -> bool:
    return len(run) <= STRAY_WORDS and len(run) * 2 < phrase_words and run[-1].end_s - run[0].start_s <= STRAY_S
