"""Cuts tile the track, stay in bounds, and leave speech whole."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tiro.adapters.media.spans import Cut, Cutter
from tiro.adapters.media.vad import Interval

SECOND = 16_000
TARGET = 150 * SECOND
PAD = 1536

Track = tuple[list[Interval], int]


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Speech and silence of all lengths, and where the track ends."""
    pieces = draw(
        st.lists(
            st.tuples(
                st.one_of(st.integers(2560, 5 * SECOND), st.integers(2560, 300 * SECOND)),
                st.one_of(st.integers(512, 10 * SECOND), st.integers(512, 400 * SECOND)),
            ),
            max_size=60,
        )
    )
    at, speech = draw(st.integers(0, 20 * SECOND)), []
    for silent, spoken in pieces:
        speech.append((at + silent, at + silent + spoken))
        at += silent + spoken
    return speech, at + draw(st.integers(0, 200 * SECOND))


def cut(track: Track, step: int | None = None) -> list[Cut]:
    """The track handed over in steps of this many samples, or at once."""
    speech, end = track
    cutter, cuts, given_out = Cutter(TARGET, PAD), [], 0
    for at in range(step or end, end, step or end) if end else ():
        ended = [interval for interval in speech[given_out:] if interval[1] <= at]
        given_out += len(ended)
        under_way = speech[given_out] if given_out < len(speech) and speech[given_out][0] < at else None
        cuts += cutter.push(ended, under_way and (under_way[0], at), at)
    return cuts + cutter.finish(speech[given_out:], end)


@given(tracks())
@settings(deadline=None, max_examples=150)
def test_cuts_tile_the_track_within_bounds(track: Track) -> None:
    cuts, end = cut(track), track[1]
    edges = [0, *(piece.end for piece in cuts)]
    assert [(piece.start, piece.end) for piece in cuts] == list(itertools.pairwise(edges))
    assert edges[-1] == end
    lengths = [piece.end - piece.start for piece in cuts]
    assert all(0.4 * TARGET <= length <= 1.6 * TARGET for length in lengths[:-1])
    assert all(length <= 1.6 * TARGET for length in lengths)
    if len(lengths) > 1:
        assert lengths[-1] >= 0.2 * TARGET


@given(tracks())
@settings(deadline=None, max_examples=150)
def test_speech_is_split_only_when_it_is_longer_than_the_target(track: Track) -> None:
    for piece in cut(track)[:-1]:
        for start, end in track[0]:
            assert not start < piece.end < end or end - start >= TARGET


@given(tracks())
@settings(deadline=None, max_examples=150)
def test_all_speech_is_told_inside_its_span(track: Track) -> None:
    cuts = cut(track)
    told = [interval for piece in cuts for interval in piece.speech]
    assert all(piece.start <= start < end <= piece.end for piece in cuts for start, end in piece.speech)
    assert told == sorted(told)
    for start, end in track[0]:
        assert sum(max(0, min(end, high) - max(start, low)) for low, high in told) == end - start


@given(tracks(), st.integers(SECOND, 300 * SECOND))
@settings(deadline=None, max_examples=100)
def test_cuts_do_not_depend_on_how_the_track_is_handed_over(track: Track, step: int) -> None:
    assert cut(track, step) == cut(track)


def test_a_cut_lies_in_the_middle_of_the_longest_silence_near_the_target() -> None:
    speech = [(0, 140 * SECOND), (141 * SECOND, 150 * SECOND), (154 * SECOND, 300 * SECOND)]
    assert cut((speech, 300 * SECOND))[0].end == 152 * SECOND


def test_a_short_rest_stays_with_the_span_before() -> None:
    speech = [(0, 149 * SECOND), (151 * SECOND, 175 * SECOND)]
    assert [(piece.start, piece.end) for piece in cut((speech, 175 * SECOND))] == [(0, 175 * SECOND)]


def test_a_span_is_given_as_soon_as_it_is_final() -> None:
    cutter = Cutter(TARGET, PAD)
    speech = [(0, 149 * SECOND), (151 * SECOND, 179 * SECOND)]
    assert cutter.push(speech, None, 179 * SECOND) == []
    assert cutter.push([], None, 180 * SECOND)[0].end == 150 * SECOND
    silent = Cutter(TARGET, PAD)
    assert silent.push([], None, 180 * SECOND)[0].end == 150 * SECOND
