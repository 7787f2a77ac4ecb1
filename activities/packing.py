"""What lies in the blobs of a pack: the prepared audio of several short files, and then their transcripts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from activities.span_plan import plan_name, plan_of
from tiro.model.media import Span, SpanPlan
from tiro.model.transcript import Transcript
from tiro.ports import PreparedFile, Samples

MEDIA_TYPE = "application/msgpack"


class PackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be heard. `audio`: one piece per span, 16 bits mono; empty where there is nothing to hear."""

    index: int
    language: str | None
    plan: SpanPlan
    audio: tuple[bytes, ...]

    def spans(self, vad: bool) -> list[tuple[Span, Samples]]:
        """What an engine is to be asked about."""
        wanted = set(self.plan.to_hear(vad))
        pieces = zip(self.plan.spans, self.audio, strict=True)
        return [(span, _samples(piece)) for span, piece in pieces if span.index in wanted]


class HeardFile(msgspec.Struct, frozen=True):
    """A file of a batch and its transcript."""

    index: int
    transcript: Transcript


def packed(index: int, language: str | None, prepared: PreparedFile, *, way: str, vad: bool) -> PackedFile:
    """A file as it goes into a pack. `way`: what its plan is named by."""
    assert prepared.end is not None
    plan = plan_of(plan_name(way), (one.span for one in prepared.spans), prepared.end, prepared.probe)
    wanted = set(plan.to_hear(vad))
    audio = tuple(_pcm(one.samples) if one.span.index in wanted else b"" for one in prepared.spans)
    return PackedFile(index=index, language=language, plan=plan, audio=audio)


def encoded(files: Sequence[PackedFile] | Sequence[HeardFile]) -> bytes:
    """A blob of these."""
    return msgspec.msgpack.encode(files)


def audio_of(blob: bytes) -> list[PackedFile]:
    """What `encoded` wrote."""
    return msgspec.msgpack.decode(blob, type=list[PackedFile])


def transcripts_of(blob: bytes) -> dict[int, Transcript]:
    """Index -> transcript."""
    return {file.index: file.transcript for file in msgspec.msgpack.decode(blob, type=list[HeardFile])}


def _pcm(samples: Samples) -> bytes:
    """What was decoded by us (16 bits) survives exactly; FLAC would cost more time than it saves, since packs live for minutes."""
    whole = np.rint(samples * np.float32(32768.0)).clip(-32768, 32767).astype("<i2")
    return bytes(whole.data)


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768.0)
