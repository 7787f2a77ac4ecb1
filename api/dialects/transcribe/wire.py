"""What is said in the `transcribe` dialect by calls that are answered at once. Money is dollars, times are seconds, both are numbers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from api.dialects.transcribe.options import Choices


class SyncFields(Choices, frozen=True, kw_only=True):
    """The text fields of POST /v1/transcribe as a form; the recording is the part `file`, or lies at `url`."""

    url: str | None = None
    reference_id: str | None = None
    webhook_url: str | None = None


class SyncSegment(msgspec.Struct, frozen=True):
    """A sentence."""

    id: int
    start_seconds: float
    end_seconds: float
    text: str


class SyncAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finished transcription. What `exclude` names is not in it; one field of the text that is left alone is sent bare."""

    job_id: str | msgspec.UnsetType = msgspec.UNSET
    reference_id: str | msgspec.UnsetType = msgspec.UNSET
    billed_seconds: int | msgspec.UnsetType = msgspec.UNSET
    price_per_hour: float | msgspec.UnsetType = msgspec.UNSET
    cost: float | msgspec.UnsetType = msgspec.UNSET
    remaining_balance: float | None | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    vtt: str | msgspec.UnsetType = msgspec.UNSET
    segments: list[SyncSegment] | msgspec.UnsetType = msgspec.UNSET
    detected_language: str | None | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET


class Taken(msgspec.Struct, frozen=True):
    """A recording that is transcribed while nobody waits: the webhook tells of its end."""

    job_id: str
    status: str
    job_status: str


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/add-funds: whole dollars; `if_balance_below`: only while there is less."""

    amount: Annotated[float, msgspec.Meta(ge=5, le=100)]
    if_balance_below: float | None = None


class TopUpAnswer(msgspec.Struct, frozen=True):
    """The balance in dollars, after it."""

    ok: bool
    remaining_balance: float


class Problem(msgspec.Struct, frozen=True):
    """Every error: a sentence, a stable code, and fields of its own (`limits`, `required_usd`, `job_status`, ...)."""

    error: str
    code: str
