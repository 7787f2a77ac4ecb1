"""What is said in the `jobs` dialect: requests and answers as they look on the wire. Times are RFC 3339 in UTC; absent is null."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

JobStatus = Literal["queued", "processing", "completed", "failed", "cancelled"]
FORMATS = ("json", "txt", "srt", "vtt", "docx")
"""What a transcript can be fetched as."""
RENDERED = FORMATS[1:]
"""What is rendered when a job ends; json is made from the transcript at each request."""


class TokenRequest(msgspec.Struct, frozen=True):
    """POST /auth/token."""

    api_key: str


class RefreshRequest(msgspec.Struct, frozen=True):
    """POST /auth/refresh."""

    refresh_token: str


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Two tokens and their remaining seconds."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 (a scheme, not a secret)
    expires_in: int
    refresh_expires_in: int


class JobFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """POST /jobs, as JSON or as the text fields of a form. In a form the recording may be the part `file` instead.

    Defaults are left out of a request's fingerprint: one that is kept still fits when there is a new field.
    """

    source_url: str | None = None
    diarize: bool = True
    language: str = "auto"
    webhook_url: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """202 of POST /jobs."""

    job_id: str
    status: JobStatus
    created_at: str


class WebhookState(msgspec.Struct, frozen=True):
    """How the job's webhook fares. `status`: waiting (the job has not ended), pending, delivered, exhausted or stopped."""

    status: str
    attempts: int
    last_status: int | None
    next_attempt_at: str | None


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /jobs/{id}, and an item of GET /jobs."""

    job_id: str
    status: JobStatus
    created_at: str
    started_at: str | None
    completed_at: str | None
    stage: str
    progress: float
    eta_seconds: int | None
    language: str | None
    duration_seconds: float | None
    engine: str | None
    fallback: bool
    billed_seconds: int | None
    overage_seconds: int | None
    error: str | None
    reason: str | None
    message: str | None
    webhook: WebhookState | None
    source_deleted_at: str | None


class JobsPage(msgspec.Struct, frozen=True):
    """GET /jobs."""

    jobs: list[JobAnswer]
    next_cursor: str | None


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins; opaque to clients."""

    changed_at: datetime
    job_id: str


class WireSpeaker(msgspec.Struct, frozen=True):
    """A voice. Confidence 1.0 where a channel proves it, null where it was not measured."""

    id: str
    confidence: float | None


class WireWord(msgspec.Struct, frozen=True):
    """A word with its seconds and who said it."""

    word: str
    start: float
    end: float
    confidence: float
    speaker: str | None


class WireSegment(msgspec.Struct, frozen=True):
    """Words of one speaker. `confidence`: of its words, weighted by their length."""

    speaker: str | None
    start: float
    end: float
    text: str
    confidence: float
    engine: str
    words: list[WireWord]


class TranscriptAnswer(msgspec.Struct, frozen=True):
    """GET /jobs/{id}/transcript?format=json."""

    job_id: str
    language: str | None
    language_detected: bool
    duration_seconds: float
    engine: str
    fallback: bool
    diarizer: str | None
    speakers: list[WireSpeaker]
    segments: list[WireSegment]
    warnings: list[str]


class Problem(msgspec.Struct, frozen=True):
    """Every error: a stable code, a sentence, and fields of its own (`reason`, `param`, `overage_allowed`, ...)."""

    error: str
    message: str
