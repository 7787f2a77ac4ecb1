"""The transcript: words with times, speakers and confidence, grouped into segments. The one form that all formats are made from."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Word(msgspec.Struct, frozen=True, gc=False):
    """A word as it is shown, punctuation attached. Seconds of the recording; `speaker` None: nobody could be named."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    speaker: int | None = None


class Segment(msgspec.Struct, frozen=True):
    """Words of one speaker without a long pause. `text` is the words joined; `engine` is the model that heard them."""

    start_s: float
    end_s: float
    text: str
    speaker: int | None
    confidence: float
    engine: str
    words: tuple[Word, ...] = ()


class SpeakerInfo(msgspec.Struct, frozen=True):
    """A voice of the recording: `index` n is shown as `speaker_n`; confidence 1.0 only where a channel proves it."""

    index: int
    confidence: float | None = None

    @property
    def label(self) -> str:
        """The public, anonymous name."""
        return speaker_label(self.index)


class Transcript(msgspec.Struct, frozen=True):
    """Everything that was said. `engine` is the engine that ran (the fallback when any span fell back)."""

    job_id: str
    language: str | None
    language_detected: bool
    duration_s: float
    engine: str
    fallback: bool
    diarizer: str | None
    speakers: tuple[SpeakerInfo, ...]
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()
    revision: int = 1


class StoredTranscript(msgspec.Struct, frozen=True):
    """A `Transcript` as it was stored, to be read: its segments stay bytes, and each is made when its turn comes, every time."""

    job_id: str
    language: str | None
    language_detected: bool
    duration_s: float
    engine: str
    fallback: bool
    diarizer: str | None
    speakers: tuple[SpeakerInfo, ...]
    raw: tuple[msgspec.Raw, ...] = msgspec.field(name="segments")
    warnings: tuple[str, ...] = ()
    revision: int = 1

    @classmethod
    def read(cls, stored: bytes) -> StoredTranscript:
        """Out of the JSON of a `Transcript`."""
        return msgspec.json.decode(stored, type=cls)

    @property
    def segments(self) -> Iterator[Segment]:
        """In their order."""
        return map(_SEGMENT.decode, self.raw)


AnyTranscript = Transcript | StoredTranscript
"""What whoever goes through it once, from its beginning to its end, can take."""
_SEGMENT = msgspec.json.Decoder(Segment)


def speaker_label(index: int) -> str:
    """`speaker_0`, `speaker_1`, ..."""
    return f"speaker_{index}"
