"""How do parts and turns become one transcript? Words in time order, a speaker for each, nothing lost at cuts, nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tiro.model.media import SpanPlan
from tiro.model.speakers import ends_sentence, speakers_of
from tiro.model.speech import Diarization, Part
from tiro.model.transcript import Segment, SpeakerInfo, Transcript, Word
from tiro.model.words import Spoken, line_of_words

PAUSE_S = 0.9
"""A longer silence ends a segment."""

LONG_S = 12.0
"""A segment of this length ends with its sentence."""

MAX_SEGMENT_S = 30.0

_Named = tuple[Spoken, int | None]


def merge(
    job_id: str,
    plan: SpanPlan,
    parts: Sequence[Part],
    diarization: Diarization | None,
    *,
    language: str | None,
    language_detected: bool,
    primary_engine: str,
    fallback: bool,
) -> Transcript:
    """The transcript of a recording from one part per span, in whatever order they come.

    Layout `channels`: track n is speaker n. Layout `mono`: speakers by the diarization's turns, one speaker_0 without any.
    `primary_engine` is the public model id of the first engine in the chain; with `fallback` the transcript claims the other
    engine that was heard. Raises Permanent `parts_incomplete`.
    """
    parts = sorted(parts, key=lambda part: part.index)
    language = language or _language(parts)
    lines = _lines(plan, parts, diarization, language)
    return Transcript(
        job_id=job_id,
        language=language,
        language_detected=language_detected,
        duration_s=plan.decoded_s,
        engine=_engine(parts, primary_engine, fallback),
        fallback=fallback,
        diarizer=_diarizer(plan, diarization),
        speakers=_speakers(plan, diarization, lines),
        segments=_segments(lines),
        warnings=_warnings(plan, parts),
    )


def _lines(
    plan: SpanPlan, parts: Sequence[Part], diarization: Diarization | None, language: str | None
) -> list[list[_Named]]:
    """One line of words with their speakers per track."""
    lines: list[list[_Named]] = []
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
        lines.append(list(zip(words, speakers, strict=True)))
    return lines


def _engine(parts: Sequence[Part], primary: str, fallback: bool) -> str:
    others = [part.engine for part in parts if part.engine != primary]
    return others[0] if fallback and others else primary


def _language(parts: Sequence[Part]) -> str | None:
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


def _speakers(
    plan: SpanPlan, diarization: Diarization | None, lines: Sequence[Sequence[_Named]]
) -> tuple[SpeakerInfo, ...]:
    if plan.layout == "channels":
        count = max((span.track for span in plan.spans), default=-1) + 1
        return tuple(SpeakerInfo(index, 1.0) for index in range(count))
    if diarization is None:
        return (SpeakerInfo(0),)
    heard = {speaker for line in lines for _, speaker in line if speaker is not None}
    return tuple(SpeakerInfo(index, diarization.confidence) for index in sorted(heard))


def _warnings(plan: SpanPlan, parts: Sequence[Part]) -> tuple[str, ...]:
    said = [*plan.warnings, *(warning for part in parts for warning in part.warnings)]
    return tuple(dict.fromkeys(said))


def _segments(lines: Sequence[Sequence[_Named]]) -> tuple[Segment, ...]:
    """Segments of all tracks by their start; two who speak at once keep their sentences whole."""
    segments = [_segment(piece) for line in lines for run in _runs(line) for piece in _pieces(run)]
    return tuple(sorted(segments, key=lambda segment: segment.start_s))


def _runs(line: Sequence[_Named]) -> Iterator[Sequence[_Named]]:
    """Words of one speaker and one engine without a long pause."""
    begin = 0
    for place, ((before, before_speaker), (word, speaker)) in enumerate(pairwise(line), start=1):
        paused = word.start_s - before.end_s > PAUSE_S
        if paused or speaker != before_speaker or word.engine != before.engine:
            yield line[begin:place]
            begin = place
    if line:
        yield line[begin:]


def _pieces(run: Sequence[_Named]) -> Iterator[Sequence[_Named]]:
    """The run cut at sentence ends once it is long, and at its widest gap where no sentence ends in time."""
    begin = 0
    for place, (word, _) in enumerate(run):
        while word.end_s - run[begin][0].start_s > MAX_SEGMENT_S and place > begin:
            cut = _widest_gap(run, begin, place)
            yield run[begin:cut]
            begin = cut
        if word.end_s - run[begin][0].start_s >= LONG_S and ends_sentence(word.text):
            yield run[begin : place + 1]
            begin = place + 1
    if begin < len(run):
        yield run[begin:]


def _widest_gap(run: Sequence[_Named], begin: int, end: int) -> int:
    """Where to cut in (begin, end]: before the word that follows the widest gap of the second half; the last on a tie."""
    middle = (begin + end + 1) // 2
    return max(range(middle, end + 1), key=lambda place: (run[place][0].start_s - run[place - 1][0].end_s, place))


def _segment(piece: Sequence[_Named]) -> Segment:
    first, speaker = piece[0]
    text = "".join(f" {word.text}" if word.spaced else word.text for word, _ in piece).strip()
    words = tuple(Word(word.text, word.start_s, word.end_s, word.confidence, speaker) for word, _ in piece)
    return Segment(
        start_s=first.start_s,
        end_s=words[-1].end_s,
        text=text,
        speaker=speaker,
        confidence=_mean_confidence(words),
        engine=first.engine,
        words=words,
    )


def _mean_confidence(words: Sequence[Word]) -> float:
    """Weighted by duration; a plain mean where no word has one."""
    total_s = sum(word.end_s - word.start_s for word in words)
    if total_s <= 0:
        return sum(word.confidence for word in words) / len(words)
    return sum(word.confidence * (word.end_s - word.start_s) for word in words) / total_s
