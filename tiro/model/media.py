"""What a recording is once it is decoded: its probe, its limits, and the spans it is cut into."""

from __future__ import annotations

from typing import Literal

import msgspec

SAMPLE_RATE_HZ = 16_000
"""Every sample behind the decoder has this rate."""

Layout = Literal["mono", "channels"]
"""`mono`: one track of mixed speakers. `channels`: each channel is one speaker, track n is speaker n."""


class MediaLimits(msgspec.Struct, frozen=True):
    """What a recording may cost: seconds of audio, bytes, and wall seconds for the decoder.

    `moving_pictures` False: an MP4 or MOV that has any is refused; an attached picture does not move.
    """

    max_duration_s: float
    max_bytes: int
    deadline_s: float = 3600.0
    moving_pictures: bool = True


class MediaProbe(msgspec.Struct, frozen=True):
    """What the container says. `duration_s` is its claim (None: no claim); only decoded seconds are billed."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None
    has_video: bool = False


class Span(msgspec.Struct, frozen=True):
    """A stretch of one track, cut in silence. Times are seconds of the recording; `speech` holds (start_s, end_s) inside it."""

    index: int
    track: int
    start_s: float
    end_s: float
    speech: tuple[tuple[float, float], ...] = ()

    @property
    def speech_s(self) -> float:
        """Seconds of speech inside."""
        return sum(end - start for start, end in self.speech)


class SpanPlan(msgspec.Struct, frozen=True):
    """All spans of a recording, in the order of becoming final, and what was seen on the way."""

    plan: str
    layout: Layout
    spans: tuple[Span, ...]
    decoded_s: float
    damaged_packets: int = 0
    warnings: tuple[str, ...] = ()
    probe: MediaProbe | None = None

    def to_hear(self, vad: bool) -> tuple[int, ...]:
        """Indexes of the spans that an engine is asked about: those with speech, or all."""
        return tuple(span.index for span in self.spans if span.speech or not vad)

    @property
    def speech_s(self) -> float:
        """Seconds of speech in all tracks."""
        return sum(span.speech_s for span in self.spans)
