"""merge: parts and turns become one transcript that a person can read."""

from __future__ import annotations

import pytest

from tiro.model.errors import Permanent
from tiro.model.media import Layout, Span, SpanPlan
from tiro.model.merge import merge
from tiro.model.speech import Diarization, HeardSegment, HeardWord, Part, Turn
from tiro.model.transcript import Transcript


def words(text: str, start_s: float, step_s: float = 0.4, confidence: float = 0.9) -> HeardSegment:
    """A segment whose words last `step_s` each, without a pause."""
    heard = tuple(
        HeardWord(word, start_s + number * step_s, start_s + (number + 1) * step_s, confidence)
        for number, word in enumerate(text.split())
    )
    return HeardSegment(start_s, start_s + len(heard) * step_s, text, heard, confidence)


def part(index: int, *segments: HeardSegment, track: int = 0, engine: str = "first", **more) -> Part:
    return Part(index, track, engine, "en", segments, 1.0, 1.0, **more)


def plan(*spans: tuple[int, float, float], layout: Layout = "mono", warnings: tuple[str, ...] = ()) -> SpanPlan:
    """Spans of (track, start_s, end_s), all speech."""
    made = tuple(
        Span(number, track, start_s, end_s, ((start_s, end_s),)) for number, (track, start_s, end_s) in enumerate(spans)
    )
    return SpanPlan("p", layout, made, max(end_s for _, _, end_s in spans), warnings=warnings)


def turns(*given: tuple[float, float, int]) -> Diarization:
    made = tuple(Turn(*turn) for turn in given)
    return Diarization("acoustic", made, len({turn.speaker for turn in made}), 0.7)


def merged(span_plan: SpanPlan, *parts: Part, diarization: Diarization | None = None, **more) -> Transcript:
    options = {"language": "en", "language_detected": True, "primary_engine": "first", "fallback": False}
    return merge("job_1", span_plan, parts, diarization, **(options | more)).whole()


def lines(transcript: Transcript) -> list[tuple[int | None, str]]:
    return [(segment.speaker, segment.text) for segment in transcript.segments]


def test_parts_of_one_track_follow_each_other_whatever_their_order():
    two = plan((0, 0, 10), (0, 10, 20))
    parts = [part(1, words("and then she left", 10.1)), part(0, words("he came", 1.0))]
    assert lines(merged(two, *parts)) == [(0, "he came"), (0, "and then she left")]


def test_speech_that_runs_over_a_cut_is_one_segment():
    two = plan((0, 0, 10), (0, 10, 20))
    transcript = merged(two, part(0, words("one two", 9.2)), part(1, words("three four", 10.0)))
    assert lines(transcript) == [(0, "one two three four")]


def test_a_long_pause_ends_a_segment():
    assert lines(merged(plan((0, 0, 20)), part(0, words("one two", 0), words("three", 2.0)))) == [
        (0, "one two"),
        (0, "three"),
    ]


@pytest.mark.promise("J17")
def test_without_diarization_one_speaker_said_everything():
    transcript = merged(plan((0, 0, 20)), part(0, words("one two", 0), words("three", 5.0)))
    assert [speaker.index for speaker in transcript.speakers] == [0]
    assert {segment.speaker for segment in transcript.segments} == {0}
    assert transcript.diarizer is None


@pytest.mark.promise("J7", "J34")
def test_a_track_is_a_speaker_and_the_right_one_stays_one_though_it_speaks_first():
    stereo = plan((0, 0, 20), (1, 0, 20), layout="channels")
    transcript = merged(stereo, part(0, words("good evening", 5)), part(1, words("hello", 1), track=1))
    assert lines(transcript) == [(1, "hello"), (0, "good evening")]
    assert [(speaker.index, speaker.confidence) for speaker in transcript.speakers] == [(0, 1.0), (1, 1.0)]
    assert transcript.diarizer == "channels"


def test_who_speak_at_once_on_two_tracks_keep_their_sentences_whole():
    stereo = plan((0, 0, 20), (1, 0, 20), layout="channels")
    transcript = merged(stereo, part(0, words("a b c d", 1)), part(1, words("e f g h", 1.2), track=1))
    assert lines(transcript) == [(0, "a b c d"), (1, "e f g h")]


def test_words_take_the_speaker_of_the_turn_that_covers_most_of_them():
    transcript = merged(
        plan((0, 0, 20)), part(0, words("a b c d e f g h", 0)), diarization=turns((0, 1.7, 0), (1.7, 4, 1))
    )
    assert lines(transcript) == [(0, "a b c d"), (1, "e f g h")]
    assert [speaker.confidence for speaker in transcript.speakers] == [0.7, 0.7]


def test_a_turn_that_begins_one_word_late_gives_way_to_the_sentence():
    transcript = merged(
        plan((0, 0, 20)),
        part(0, words("How are you today? I am fine, thank you.", 0)),
        diarization=turns((0, 2.0, 0), (2.0, 4, 1)),
    )
    assert lines(transcript) == [(0, "How are you today?"), (1, "I am fine, thank you.")]


def test_a_single_word_inside_a_phrase_does_not_flip():
    transcript = merged(
        plan((0, 0, 20)), part(0, words("a b c d e f g", 0)), diarization=turns((0, 1.2, 0), (1.2, 1.6, 1), (1.6, 4, 0))
    )
    assert lines(transcript) == [(0, "a b c d e f g")]


def test_a_short_answer_between_pauses_keeps_its_speaker():
    transcript = merged(
        plan((0, 0, 20)),
        part(0, words("are you there", 0), words("yes", 1.6), words("very good then", 2.4)),
        diarization=turns((0, 1.4, 0), (1.5, 2.1, 1), (2.2, 4, 0)),
    )
    assert lines(transcript) == [(0, "are you there"), (1, "yes"), (0, "very good then")]


def test_a_word_outside_of_all_turns_goes_to_a_near_one_and_to_nobody_when_none_is_near():
    transcript = merged(
        plan((0, 0, 20)), part(0, words("near", 2.2), words("far", 9.0)), diarization=turns((0, 2.0, 0), (12, 13, 1))
    )
    assert lines(transcript) == [(0, "near"), (None, "far")]
    assert [speaker.index for speaker in transcript.speakers] == [0]


@pytest.mark.promise("J34")
def test_speakers_without_words_leave_no_hole():
    transcript = merged(
        plan((0, 0, 20)),
        part(0, words("a b", 5), words("c d", 10)),
        diarization=turns((0, 1, 0), (5, 6, 1), (10, 11, 2)),
    )
    assert lines(transcript) == [(0, "a b"), (1, "c d")]


def test_no_segment_lasts_longer_than_thirty_seconds():
    transcript = merged(plan((0, 0, 100)), part(0, words(" ".join("abcdefghij" * 20), 0)))
    assert all(segment.end_s - segment.start_s <= 30 for segment in transcript.segments)
    assert " ".join(segment.text for segment in transcript.segments) == " ".join("abcdefghij" * 20)


def test_a_long_segment_ends_with_its_sentence():
    text = " ".join(["word"] * 34 + ["stop."] + ["more"] * 5)
    assert [text.split()[-1] for _, text in lines(merged(plan((0, 0, 20)), part(0, words(text, 0))))] == [
        "stop.",
        "more",
    ]


@pytest.mark.promise("J25")
def test_a_segment_belongs_to_one_engine_and_the_transcript_claims_the_fallback():
    two = plan((0, 0, 10), (0, 10, 20))
    transcript = merged(
        two, part(0, words("one two", 9.2)), part(1, words("three", 10.0), engine="second"), fallback=True
    )
    assert [segment.engine for segment in transcript.segments] == ["first", "second"]
    assert (transcript.engine, transcript.fallback) == ("second", True)


@pytest.mark.promise("J33")
def test_confidence_of_a_segment_is_weighted_by_duration():
    heard = HeardSegment(0, 4, "a b", (HeardWord("a", 0, 3, 1.0), HeardWord("b", 3, 4, 0.2)), 0.5)
    assert merged(plan((0, 0, 20)), part(0, heard)).segments[0].confidence == pytest.approx(0.8)


def test_a_segment_without_word_times_spreads_its_words_evenly():
    transcript = merged(plan((0, 0, 20)), part(0, HeardSegment(2, 4, "one, two three four", (), 0.6)))
    assert [(word.text, word.start_s, word.end_s) for word in transcript.segments[0].words] == [
        ("one,", 2.0, 2.5),
        ("two", 2.5, 3.0),
        ("three", 3.0, 3.5),
        ("four", 3.5, 4.0),
    ]
    assert transcript.segments[0].confidence == pytest.approx(0.6)


def test_words_get_the_punctuation_that_only_the_text_has():
    bare = HeardSegment(0, 4, 'He said: "Yes - twenty-five."', words("He said Yes twenty five", 0).words, 0.9)
    segment = merged(plan((0, 0, 20)), part(0, bare)).segments[0]
    assert segment.text == 'He said: "Yes - twenty-five."'
    assert [word.text for word in segment.words] == ["He", "said:", '"Yes -', "twenty-", 'five."']


def test_words_that_bring_their_spaces_are_joined_by_them():
    heard = (HeardWord(" it", 0, 1, 1), HeardWord(" twenty", 1, 2, 1), HeardWord("-five", 2, 3, 1))
    transcript = merged(plan((0, 0, 20)), part(0, HeardSegment(0, 3, "something else", heard, 1)))
    assert lines(transcript) == [(0, "it twenty-five")]


def test_a_language_without_spaces_is_joined_without_them():
    heard = (HeardWord("你好", 0, 1, 1), HeardWord("世界", 1, 2, 1))
    chinese = Part(
        0, 0, "first", "zh", (HeardSegment(0, 2, "你好，世界", heard, 1), HeardSegment(2, 3, "再见", (), 1)), 3, 3
    )
    assert lines(merged(plan((0, 0, 20)), chinese, language="zh")) == [(0, "你好，世界再见")]


def test_words_stay_inside_their_span_and_never_step_back():
    wild = HeardSegment(
        0, 30, "a b c", (HeardWord("a", -3, 5, 1), HeardWord("b", 2, 40, 1), HeardWord("c", 1, 1.5, 1)), 1
    )
    segment = merged(plan((0, 0, 10)), part(0, wild)).segments[0]
    assert [(word.text, word.start_s, word.end_s) for word in segment.words] == [
        ("a", 0, 2),
        ("b", 2, 10),
        ("c", 2, 10),
    ]


def test_language_not_given_is_the_one_in_which_most_was_heard():
    two = plan((0, 0, 10), (0, 10, 20))
    parts = [Part(0, 0, "first", "de", (), 8, 8), Part(1, 0, "first", "en", (), 2, 2)]
    assert merged(two, *parts, language=None).language == "de"


def test_warnings_of_plan_and_parts_are_kept_once():
    two = plan((0, 0, 10), (0, 10, 20), warnings=("damaged",))
    parts = [part(0, warnings=("thin",)), part(1, warnings=("thin", "damaged"))]
    assert merged(two, *parts).warnings == ("damaged", "thin")


@pytest.mark.parametrize(
    "parts",
    [[part(0)], [part(0), part(1), part(1)], [part(0), part(1), part(7)]],
    ids=["one span has none", "one span has two", "one part has no span"],
)
def test_parts_that_do_not_match_the_plan_are_refused(parts):
    with pytest.raises(Permanent) as refused:
        merged(plan((0, 0, 10), (0, 10, 20)), *parts)
    assert refused.value.code == "parts_incomplete"


def test_a_span_without_speech_needs_no_part():
    silent = SpanPlan("p", "mono", (Span(0, 0, 0, 10),), 10)
    transcript = merged(silent)
    assert (transcript.segments, transcript.duration_s) == ((), 10)
