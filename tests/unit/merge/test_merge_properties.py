"""merge: what holds for any recording."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiro.model.media import Span, SpanPlan
from tiro.model.merge import MAX_SEGMENT_S, Merged, merge
from tiro.model.speech import Diarization, HeardSegment, HeardWord, Part, StoredPart, Turn
from tiro.model.transcript import Transcript
from tiro.render.neutral import json_pieces

SPAN_S = 60.0

times = st.floats(-5, SPAN_S + 5, allow_nan=False)


@st.composite
def part_segments(draw, index: int) -> tuple[HeardSegment, ...]:
    """Segments of words with names of their own (`w<span>x<n>`), some without word times, some with wild ones."""
    segments, count = [], 0
    for size in draw(st.lists(st.integers(0, 6), max_size=4)):
        names = [f"w{index}x{count + number}" + draw(st.sampled_from(["", ",", ".", "?"])) for number in range(size)]
        count += size
        spans = [sorted((draw(times), draw(times))) for _ in names]
        heard = tuple(
            HeardWord(name, index * SPAN_S + start_s, index * SPAN_S + end_s, draw(st.floats(0, 1)))
            for name, (start_s, end_s) in zip(names, spans, strict=True)
        )
        start_s, end_s = sorted((draw(times), draw(times)))
        timed = draw(st.booleans())
        segments.append(HeardSegment(start_s, end_s, " ".join(names), heard if timed else (), 0.5))
    return tuple(segments)


@st.composite
def recordings(draw) -> tuple[SpanPlan, list[Part], Diarization | None]:
    layout = draw(st.sampled_from(["mono", "channels"]))
    tracks = 1 if layout == "mono" else draw(st.integers(1, 3))
    spans, parts = [], []
    for place in range(draw(st.integers(1, 3))):
        for track in range(tracks):
            index = len(spans)
            spans.append(
                Span(index, track, place * SPAN_S, (place + 1) * SPAN_S, ((place * SPAN_S, place * SPAN_S + 1),))
            )
            engine = draw(st.sampled_from(["first", "second"]))
            parts.append(Part(index, track, engine, "en", draw(part_segments(index)), 1.0, 1.0))
    borders = sorted(draw(st.lists(st.floats(0, 3 * SPAN_S), max_size=12)))
    turns = tuple(Turn(start_s, end_s, draw(st.integers(0, 3))) for start_s, end_s in list(pairwise(borders))[::2])
    diarization = draw(st.sampled_from([None, Diarization("scripted", turns, 4)]))
    return SpanPlan("p", layout, tuple(spans), 3 * SPAN_S), parts, diarization


def merged(plan: SpanPlan, parts: list[Part], diarization: Diarization | None) -> Transcript:
    return lazily(plan, parts, diarization).whole()


def lazily(plan: SpanPlan, parts: Iterable[Part | StoredPart], diarization: Diarization | None) -> Merged:
    return merge(
        "job_1", plan, parts, diarization, language="en", language_detected=False, primary_engine="first", fallback=True
    )


@given(recordings())
def test_what_is_merged_piece_by_piece_from_stored_parts_is_the_same(recording):
    """Bytes of the transcript, from parts that come one after the other and whose words are read when their turn comes."""
    plan, parts, diarization = recording
    stored = (msgspec.json.decode(msgspec.json.encode(part), type=StoredPart) for part in parts)
    head, segments = lazily(plan, stored, diarization)
    assert b"".join(json_pieces(head, segments)) == msgspec.json.encode(merged(*recording))


def heard_texts(parts: list[Part]) -> list[str]:
    return [text for part in parts for segment in part.segments for text in segment.text.split()]


@given(recordings())
def test_every_heard_word_appears_exactly_once(recording):
    _, parts, _ = recording
    shown = [word.text for segment in merged(*recording).segments for word in segment.words]
    assert sorted(shown) == sorted(heard_texts(parts))


@given(recordings())
def test_words_of_a_track_keep_the_order_in_which_they_were_heard(recording):
    plan, parts, _ = recording
    if plan.layout == "mono":
        shown = [word.text for segment in merged(*recording).segments for word in segment.words]
        assert shown == heard_texts(parts)
    else:
        for track in {span.track for span in plan.spans}:
            shown = [w.text for s in merged(*recording).segments if s.speaker == track for w in s.words]
            assert shown == heard_texts([part for part in parts if part.track == track])


@given(recordings())
def test_times_never_step_back_for_a_speaker_and_stay_in_the_recording(recording):
    transcript = merged(*recording)
    for speaker in {segment.speaker for segment in transcript.segments}:
        words = [word for segment in transcript.segments if segment.speaker == speaker for word in segment.words]
        assert all(before.start_s <= after.start_s for before, after in pairwise(words))
        assert all(before.end_s <= after.end_s for before, after in pairwise(words))
        assert all(0 <= word.start_s <= word.end_s <= transcript.duration_s for word in words)


@given(recordings())
def test_segments_are_in_time_order_and_hold_their_words(recording):
    transcript = merged(*recording)
    assert all(before.start_s <= after.start_s for before, after in pairwise(transcript.segments))
    for segment in transcript.segments:
        assert (segment.start_s, segment.end_s) == (segment.words[0].start_s, segment.words[-1].end_s)
        assert {word.speaker for word in segment.words} == {segment.speaker}
        assert segment.text == " ".join(word.text for word in segment.words)
        assert 0 <= segment.confidence <= 1
        assert len(segment.words) == 1 or segment.end_s - segment.start_s <= MAX_SEGMENT_S


@given(recordings())
@pytest.mark.promise("J34")
def test_speakers_have_no_holes_and_appear_in_order(recording):
    transcript = merged(*recording)
    indices = [speaker.index for speaker in transcript.speakers]
    assert indices == list(range(len(indices)))
    named = [segment.speaker for segment in transcript.segments if segment.speaker is not None]
    assert set(named) <= set(indices)
    if transcript.diarizer == "scripted":
        assert list(dict.fromkeys(named)) == indices


@given(recordings(), st.randoms(use_true_random=False))
def test_the_order_of_parts_does_not_matter(recording, random):
    plan, parts, diarization = recording
    shuffled = random.sample(parts, len(parts))
    assert merged(plan, shuffled, diarization) == merged(plan, parts, diarization)
