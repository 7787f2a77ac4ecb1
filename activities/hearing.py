"""How an engine is asked about a span: every window of its speech, or of all of it, and again where it stayed silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tiro.model.heard import believed, credible
from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.model.speech import EngineOptions, Heard, HeardSegment, HeardWord, Part, StoredPart
from tiro.model.windows import Interval, covered_s, cut, cut_all, pack, place, uncovered
from tiro.ports import Engine, Samples, Urgency

AUDIBLE_PEAK = 1e-3
"""Under about -60 dBFS there is nothing to hear."""


async def hear(
    engine: Engine, span: Span, samples: Samples, options: EngineOptions, urgency: Urgency, *, vad: bool = True
) -> Part:
    """All windows of a span; speech that stayed without words is decoded again, alone.

    `vad` False: not only speech is heard; of what is heard beside it, only what can be believed is kept.
    """
    windows = (cut if vad else cut_all)(span, engine.max_window_s)
    asked = [samples_of(samples, span, window) for window in windows]
    heard = believed(await engine.transcribe(asked, options, urgency), windows)
    segments = [segment for answer, window in zip(heard, windows, strict=True) for segment in place(answer, window)]
    missed = uncovered(span.speech, _words(segments))
    again = pack(missed, (span.start_s, span.end_s), engine.max_window_s)
    for window in again:
        asked = [samples_of(samples, span, window)]
        (answer,) = believed(await engine.transcribe(asked, options, urgency), [window])
        segments += _without_doubles(place(answer, window), missed)
    segments.sort(key=lambda segment: (segment.start_s, segment.end_s))
    if not vad:
        segments = credible(segments, span.speech, lambda one: _audible(samples_of(samples, span, one)))
    covered = covered_s(span.speech, _words(segments))
    return Part(
        index=span.index,
        track=span.track,
        engine=engine.model,
        language=options.language or _language_of(heard),
        segments=tuple(segments),
        speech_s=span.speech_s,
        covered_s=round(covered, 3),
        warnings=("speech_without_words",) if covered < span.speech_s - 0.001 else (),
    )


def _words(segments: Sequence[HeardSegment]) -> list[HeardWord]:
    """The words; a segment that came without any stands for itself."""
    whole = (HeardWord(segment.text, segment.start_s, segment.end_s, segment.confidence) for segment in segments)
    return [word for segment, one in zip(segments, whole, strict=True) for word in segment.words or (one,)]


def _without_doubles(segments: Sequence[HeardSegment], missed: Sequence[Interval]) -> list[HeardSegment]:
    """Only what lies in the speech that nobody had answered for; its neighbours have their words already."""
    return [
        segment
        for segment in segments
        if any(start_s <= (segment.start_s + segment.end_s) / 2 <= end_s for start_s, end_s in missed)
    ]


def samples_of(samples: Samples, span: Span, window: Interval) -> Samples:
    """What of a span lies in a window of the recording."""
    first = round((window[0] - span.start_s) * SAMPLE_RATE_HZ)
    last = round((window[1] - span.start_s) * SAMPLE_RATE_HZ)
    return samples[max(0, first) : last]


def _audible(samples: Samples) -> bool:
    return bool(np.abs(samples).max(initial=0.0) >= AUDIBLE_PEAK)


def _language_of(heard: Sequence[Heard]) -> str | None:
    votes = Counter(answer.language for answer in heard if answer.language and answer.segments)
    return votes.most_common(1)[0][0] if votes else None


def spoken(parts: Sequence[Part | StoredPart]) -> str | None:
    """The language in which most seconds were heard."""
    seconds: Counter[str] = Counter()
    for part in parts:
        if part.language is not None:
            seconds[part.language] += int(part.covered_s * 1000) + 1
    return seconds.most_common(1)[0][0] if seconds else None
