"""What activities are asked and what they answer: ids, numbers and references, never content."""

from __future__ import annotations

import msgspec

from tiro.model.hook import DeliveryTask
from tiro.model.job import Outcome
from tiro.model.media import Layout


class Run(msgspec.Struct, frozen=True):
    """One run of one job."""

    job_id: str
    run: int


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What the workflow must know to order the stations."""

    from_url: bool
    language: str | None
    diarize: bool
    engines: tuple[str, ...]
    detects: bool
    spans_in_flight: int = 16
    """What is scheduled can no longer be paused or moved: no more than keeps the engines busy."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of spans: which have speech, and which of its tracks are speakers already."""

    plan: str
    layout: Layout
    decoded_s: float
    speech_s: float
    spans: tuple[int, ...]
    """Indexes of the spans to be heard: those with speech, unless all are; the others need no engine."""


class FetchTask(msgspec.Struct, frozen=True):
    """`announce_from_s`: as for `IngestTask`, of what is cut while it comes; None: only bring it."""

    job_id: str
    run: int
    announce_from_s: float | None = None


class IngestTask(msgspec.Struct, frozen=True):
    """`announce_from_s`: spans are announced once so many seconds are decoded; shorter recordings are handed over whole."""

    job_id: str
    run: int
    announce_from_s: float


class DetectTask(msgspec.Struct, frozen=True):
    """Vote on the language over windows of these spans."""

    job_id: str
    run: int
    plan: str
    spans: tuple[int, ...]
    engine: str


class TranscribeTask(msgspec.Struct, frozen=True, kw_only=True):
    """Hear these spans with this engine; parts that exist (of any engine of `accept`) are taken as they are."""

    job_id: str
    run: int
    plan: str
    spans: tuple[int, ...]
    engine: str
    accept: tuple[str, ...]
    language: str | None
    priority: int = 3

    @property
    def index(self) -> int:
        """Which station of its kind this is: failures are counted by it."""
        return self.spans[0] if self.spans else 0


class HeardSpan(msgspec.Struct, frozen=True):
    """A span that has its part, and the engine (of the chain) whose it is."""

    index: int
    engine: str


class DiarizeTask(msgspec.Struct, frozen=True):
    """Tell the voices of this plan apart."""

    job_id: str
    run: int
    plan: str


class MergeTask(msgspec.Struct, frozen=True, kw_only=True):
    """Make the transcript of these parts. `diarize`: voices were to be told apart; `diarizer` None: they could not be."""

    job_id: str
    run: int
    plan: str
    parts: tuple[HeardSpan, ...]
    language: str | None
    language_detected: bool
    primary: str
    diarize: bool
    diarizer: str | None
    warnings: tuple[str, ...] = ()


class SettleTask(msgspec.Struct, frozen=True, kw_only=True):
    """End the run."""

    job_id: str
    run: int
    outcome: Outcome
    code: str | None = None
    reason: str | None = None
    extras: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)


class SettledAs(msgspec.Struct, frozen=True):
    """How the run ended, and the delivery to start. `host`: the receiver's fairness key."""

    outcome: Outcome
    error_code: str | None
    decoded_s: float | None
    delivery: DeliveryTask | None
    host: str | None


class AttemptTask(msgspec.Struct, frozen=True):
    """Attempt `number` of this event; `next_in_s` None: the last."""

    event_id: str
    number: int
    next_in_s: float | None
