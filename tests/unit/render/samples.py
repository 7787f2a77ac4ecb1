"""Transcripts for the tests of this room: drawn ones, hostile ones, and one to look at."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tiro.model.transcript import Segment, SpeakerInfo, Transcript, Word

HOSTILE = [
    "-->", "<b>", "</v>", "<v", "speaker_9>", "&lt;", "&amp;", "&", "{\\an8}", "}", "NOTE", "STYLE", "WEBVTT", "42",
    "00:00:01.000", "00:00:02,000", "speaker_7:", "=1+1", "\x00", "\x1b[31m", "a\x0bb", "\u2028", "\u202e",
    "\u2029", "\u2066", "\ud800", "\ufeff", "\ufffe",
    "<script>alert(1)</script>", "e\u0301" * 60, "漢字" * 50, "x" * 500, "שלום", "👩‍👩‍👧" * 20, "]]>", "\r\n\r\n1\r\n",
]  # fmt: skip


def transcript(segments: Iterable[Segment]) -> Transcript:
    kept = tuple(segments)
    speakers = sorted({segment.speaker for segment in kept if segment.speaker is not None})
    return Transcript(
        job_id="job_1",
        language="en",
        language_detected=True,
        duration_s=max((segment.end_s for segment in kept), default=0.0),
        engine="scripted",
        fallback=False,
        diarizer="scripted",
        speakers=tuple(SpeakerInfo(index) for index in speakers),
        segments=kept,
    )


def segment(texts: list[str], times: list[tuple[float, float]], speaker: int | None, glue: str = " ") -> Segment:
    words = tuple(Word(text, start_s, end_s, 0.9, speaker) for text, (start_s, end_s) in zip(texts, times, strict=True))
    return Segment(times[0][0], times[-1][1], glue.join(texts), speaker, 0.9, "scripted", words)


def said(text: str, start_s: float, speaker: int | None, word_s: float = 0.3) -> Segment:
    """A segment of evenly spoken words."""
    texts = text.split(" ")
    return segment(texts, [(start_s + n * word_s, start_s + (n + 1) * word_s) for n in range(len(texts))], speaker)


SAMPLE = transcript(
    [
        said("So tell me about the experiment.", 0.42, 0),
        said("You said it was R&D, at <10 volts --> is that so?", 2.5, 0),
        said("It was. We had two of them running for most of the winter, and neither of them ever stopped.", 6.0, 1),
        said("Never?", 12.25, 0),
        said("Never.", 359_999.0, 1),
    ]
)

WORDS = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=60), st.text("abc.,?", min_size=1, max_size=9))


@st.composite
def _ordered(draw: st.DrawFn) -> Transcript:
    """Segments in the order of time, each after the one before."""
    at = draw(st.sampled_from([0.0, 3_599.9, 360_000.0]))
    segments = []
    for _ in range(draw(st.integers(0, 6))):
        texts = draw(st.lists(WORDS, min_size=1, max_size=12))
        times = []
        for _ in texts:
            start_s = at + draw(st.sampled_from([0.0, 0.01, 0.2, 1.7, 30.0]))
            at = start_s + draw(st.sampled_from([0.0, 0.02, 0.4, 9.0]))
            times.append((start_s, at))
        speaker = draw(st.sampled_from([None, 0, 1]))
        segments.append(segment(texts, times, speaker, draw(st.sampled_from([" ", ""]))))
    return transcript(segments)


@st.composite
def _wild(draw: st.DrawFn) -> Transcript:
    """Times in any order, overlapping, backwards, negative, or no numbers at all; segments with and without words."""
    times = st.floats(allow_nan=True, allow_infinity=True)
    segments = []
    for _ in range(draw(st.integers(0, 6))):
        texts = draw(st.lists(WORDS, min_size=1, max_size=6))
        made = segment(texts, [(draw(times), draw(times)) for _ in texts], draw(st.sampled_from([None, 0, 1])))
        words = made.words if draw(st.booleans()) else ()
        segments.append(Segment(made.start_s, made.end_s, made.text, made.speaker, made.confidence, made.engine, words))
    return transcript(segments)


ordered = _ordered()
wild = _wild()

patient = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For drawing on a busy machine: the first text drawn builds tables of all of Unicode."""
