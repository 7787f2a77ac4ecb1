"""How do parts and turns become one transcript? Words in time order, a speaker for each, nothing lost at cuts, nothing doubled."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tiro.model.media import SpanPlan
from tiro.model.speakers import ends_sentence, speakers_of
from tiro.model.speech import Diarization, Part, StoredPart
from tiro.model.transcript import Segment, SpeakerInfo, Transcript, Word
from tiro.model.words import Spoken, line_of_words

PAUSE_S = 0.9
"""A longer silence ends a segment."""

LONG_S = 12.0
"""A segment of this length ends with its sentence."""

MAX_SEGMENT_S = 30.0


class Merged(NamedTuple):
    """A transcript whose segments are made as they are asked for, once. `head` is all the rest."""

    head: Transcript
    segments: Iterator[Segment]

    def whole(self) -> Transcript:
        """With its segments."""
        return msgspec.structs.replace(self.head, segments=tuple(self.segments))


class _Line(NamedTuple):
    """The words of a track and their speakers."""

    words: Sequence[Spoken]
    speakers: Sequence[int | None]


def merge(
    job_id: str,
    plan: SpanPlan,
    parts: Iterable[Part | StoredPart],
    diarization: Diarization | None,
    *,
    language: str | None,
    language_detected: bool,
    primary_engine: str,
    fallback: bool,
) -> Merged:
    """The transcript of a recording from one part per span, in whatever order they come.

    Layout `channels`: track n is speaker n. Layout `mono`: speakers by the diarization's turns, one speaker_0 without any.
    `primary_engine` is the public model id of the first engine in the chain; with `fallback` the transcript claims the other
    engine that was heard. Raises Permanent `parts_incomplete`.
    """
    parts = sorted(parts, key=lambda part: part.index)
    language = language or _language(parts)
    lines = _lines(plan, parts, diarization, language)
    head = Transcript(
        job_id=job_id,
        language=language,
        language_detected=language_detected,
        duration_s=plan.decoded_s,
        engine=_engine(parts, primary_engine, fallback),
        fallback=fallback,
        diarizer=_diarizer(plan, diarization),
        speakers=_speakers(plan, diarization, lines),
        segments=(),
        warnings=_warnings(plan, parts),
    )
    return Merged(head, _segments(lines))


def _lines(
    plan: SpanPlan, parts: Sequence[Part | StoredPart], diarization: Diarization | None, language: str | None
) -> list[_Line]:
    """One line of words with their speakers per track."""
    lines: list[_Line] = []
    for track in sorted({span.track for span in plan.spans} | {part.track for part in parts}):
        words = line_of_words(
            [part for part in parts if part.track == track],
            [span for span in plan.spans if span.track == track],
            language,
        )
        speakers: Sequence[int | None]
        if plan.layout == "channels":
            speakers = [track] * len(words)
        elif diarization is None:
            speakers = [0] * len(words)
        else:
            speakers = speakers_of(words, diarization.turns)
        lines.append(_Line(words, speakers))
    return lines


def _engine(parts: Sequence[Part | StoredPart], primary: str, fallback: bool) -> str:
    others = [part.engine for part in parts if part.engine != primary]
    return others[0] if fallback and others else primary


def _language(parts: Sequence[Part | StoredPart]) -> str | None:
    """What most of the speech was heard as; None when no engine says."""
    shares: dict[str, float] = {}
    for part in parts:
        if part.language:
            shares[part.language] = shares.get(part.language, 0.0) + part.speech_s
    return max(shares, key=lambda language: shares[language]) if shares else None


def _diarizer(plan: SpanPlan, diarization: Diarization | None) -> str | None:
    if plan.layout == "channels":
        return "channels"
    return diarization.diarizer if diarization else None


def _speakers(plan: SpanPlan, diarization: Diarization | None, lines: Sequence[_Line]) -> tuple[SpeakerInfo, ...]:
    if plan.layout == "channels":
        count = max((span.track for span in plan.spans), default=-1) + 1
        return tuple(SpeakerInfo(index, 1.0) for index in range(count))
    if diarization is None:
        return (SpeakerInfo(0),)
    heard = {speaker for line in lines for speaker in line.speakers if speaker is not None}
    return tuple(SpeakerInfo(index, diarization.confidence) for index in sorted(heard))


def _warnings(plan: SpanPlan, parts: Sequence[Part | StoredPart]) -> tuple[str, ...]:
    said = [*plan.warnings, *(warning for part in parts for warning in part.warnings)]
    return tuple(dict.fromkeys(said))


def _segments(lines: Iterable[_Line]) -> Iterator[Segment]:
    """Segments of all tracks by their start; two who speak at once keep their sentences whole."""
    return heapq.merge(*map(_segments_of, lines), key=lambda segment: segment.start_s)


def _segments_of(line: _Line) -> Iterator[Segment]:
    for words, speaker in _runs(line):
        for piece in _pieces(words):
            yield _segment(piece, speaker)


def _runs(line: _Line) -> Iterator[tuple[Sequence[Spoken], int | None]]:
    """Words of one speaker and one engine without a long pause."""
    words, speakers = line
    begin = 0
    for place in range(1, len(words)):
        before, word = words[place - 1], words[place]
        paused = word.start_s - before.end_s > PAUSE_S
        if paused or speakers[place] != speakers[place - 1] or word.engine != before.engine:
            yield words[begin:place], speakers[begin]
            begin = place
    if words:
        yield words[begin:], speakers[begin]


def _pieces(run: Sequence[Spoken]) -> Iterator[Sequence[Spoken]]:
    """The run cut at sentence ends once it is long, and at its widest gap where no sentence ends in time."""
    begin = 0
    for place, word in enumerate(run):
        while word.end_s - run[begin].start_s > MAX_SEGMENT_S and place > begin:
            cut = _widest_gap(run, begin, place)
            yield run[begin:cut]
            begin = cut
        if word.end_s - run[begin].start_s >= LONG_S and ends_sentence(word.text):
            yield run[begin : place + 1]
            begin = place + 1
    if begin < len(run):
        yield run[begin:]


def _widest_gap(run: Sequence[Spoken], begin: int, end: int) -> int:
    """Where to cut in (begin, end]: before the word that follows the widest gap of the second half; the last on a tie."""
    middle = (begin + end + 1) // 2
    return max(range(middle, end + 1), key=lambda place: (run[place].start_s - run[place - 1].end_s, place))


def _segment(piece: Sequence[Spoken], speaker: int | None) -> Segment:
    text = "".join(f" {word.text}" if word.spaced else word.text for word in piece).strip()
    words = tuple(Word(word.text, word.start_s, word.end_s, word.confidence, speaker) for word in piece)
    return Segment(
        start_s=piece[0].start_s,
        end_s=words[-1].end_s,
        text=text,
        speaker=speaker,
        confidence=_mean_confidence(words),
        engine=piece[0].engine,
        words=words,
    )


def _mean_confidence(words: Sequence[Word]) -> float:
    """Weighted by duration; a plain mean where no word has one."""
    total_s = sum(word.end_s - word.start_s for word in words)
    if total_s <= 0:
        return sum(word.confidence for word in words) / len(words)
    return sum(word.confidence * (word.end_s - word.start_s) for word in words) / total_s
