"""Windows hold all speech, once, within the engine's limit."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tiro.model.media import Span
from tiro.model.speech import Heard, HeardSegment, HeardWord
from tiro.model.windows import covered_s, cut, cut_all, place, uncovered


@st.composite
def spans(draw):
    at, speech = draw(st.floats(0, 1000)), []
    start = at
    for _ in range(draw(st.integers(0, 12))):
        begin = at + draw(st.floats(0, 5))
        at = begin + draw(st.floats(0.1, 70))
        speech.append((begin, at))
    return Span(index=0, track=0, start_s=start, end_s=at + draw(st.floats(0, 3)), speech=tuple(speech))


@given(spans(), st.sampled_from([30.0, 300.0]))
def test_windows_are_ordered_apart_inside_the_span_and_within_the_limit(span, limit_s):
    windows = cut(span, limit_s)
    assert all(end - start <= limit_s for start, end in windows)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(windows))
    assert all(span.start_s <= start < end <= span.end_s for start, end in windows)


@given(spans())
def test_every_second_of_speech_lies_in_a_window(span):
    windows = cut(span, 30.0)
    words = [HeardWord("w", start, end, 1.0) for start, end in windows]
    assert sum(end - start for start, end in uncovered(span.speech, words, 0.0)) < 1e-6


@given(spans())
def test_speech_shorter_than_a_window_is_never_cut(span):
    cuts = [end for _, end in cut(span, 30.0)] + [start for start, _ in cut(span, 30.0)]
    short = [(start, end) for start, end in span.speech if end - start < 29.5]
    assert not [at for at in cuts for start, end in short if start + 1e-9 < at < end - 1e-9]


@given(spans(), st.sampled_from([30.0, 300.0]))
def test_windows_of_everything_tile_the_span_within_the_limit(span, limit_s):
    windows = cut_all(span, limit_s)
    edges = [span.start_s, *(end for _, end in windows)]
    assert [start for start, _ in windows] == edges[:-1]
    assert edges[-1] == span.end_s
    assert all(end - start <= limit_s for start, end in windows)


@given(spans())
def test_where_everything_is_heard_short_speech_is_not_cut_either(span):
    cuts = [end for _, end in cut_all(span, 30.0)]
    short = [(start, end) for start, end in span.speech if end - start < 29.5]
    assert not [at for at in cuts for start, end in short if start + 1e-9 < at < end - 1e-9]


def test_a_span_without_speech_is_heard_where_everything_is():
    assert cut_all(Span(0, 0, 0.0, 50.0), 30.0) == [(0.0, 25.0), (25.0, 50.0)]


def test_neighbouring_speech_shares_a_window_and_keeps_its_pads():
    span = Span(0, 0, 100.0, 160.0, ((101.0, 105.0), (110.0, 125.0), (126.0, 140.0)))
    assert cut(span, 30.0) == [(100.8, 125.2), (125.8, 140.2)]


def test_a_span_without_speech_has_no_windows():
    assert cut(Span(0, 0, 0.0, 60.0), 30.0) == []


def test_answers_move_to_the_recordings_time_and_stay_inside_their_window():
    word = HeardWord("yes", 1.0, 99.0, 0.5)
    (segment,) = place(Heard((HeardSegment(1.0, 99.0, "yes", (word,), 0.5),)), (10.0, 20.0))
    assert (segment.start_s, segment.end_s, segment.words[0].start_s, segment.words[0].end_s) == (
        11.0,
        20.0,
        11.0,
        20.0,
    )


def test_speech_without_words_is_found_and_short_pauses_are_not():
    words = [HeardWord("a", 1.0, 2.0, 1.0), HeardWord("b", 3.0, 4.0, 1.0)]
    assert uncovered([(1.0, 20.0)], words, 2.0) == [(4.0, 20.0)]
    assert covered_s([(1.0, 20.0)], words, 2.0) == 3.0
