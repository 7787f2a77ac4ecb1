"""What a webhook says when a job has ended. Never any of the text, and no address but our own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from tiro.model.job import Job
from tiro.render.documents import dollars
from tiro.render.outcomes import outcome
from tiro.render.times import time_text


class Occasion(msgspec.Struct, frozen=True):
    """What an event says beside the job: its own id, our public address, and a link to the result with its end."""

    event_id: str
    public_url: str
    result_url: str
    result_until: datetime


Event = Callable[[Job, Occasion], tuple[str, bytes]]
"""(ended job, occasion) -> (event name, body). The same arguments give the same bytes."""


class _JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The body for the `jobs` dialect; what is not known is null."""

    id: str
    event: str
    job_id: str
    status: str
    created_at: str
    completed_at: str | None
    language: str | None
    duration_seconds: float | None
    engine: str | None
    error: str | None
    reason: str | None
    transcript_url: str | None


def jobs(job: Job, occasion: Occasion) -> tuple[str, bytes]:
    """`job.completed`, `job.failed` or `job.cancelled`. Times are written as in the answers."""
    name = f"job.{job.state}"
    failed, completed = job.state == "failed", job.state == "completed"
    body = _JobEvent(
        id=occasion.event_id,
        event=name,
        job_id=job.job_id,
        status=job.state,
        created_at=time_text(job.created_at),
        completed_at=time_text(job.ended_at) if job.ended_at else None,
        language=job.language,
        duration_seconds=None if job.decoded_s is None else round(job.decoded_s, 3),
        engine=job.engine,
        error=job.error_code if failed else None,
        reason=job.error_reason if failed else None,
        transcript_url=f"{occasion.public_url.rstrip('/')}/jobs/{job.job_id}/transcript" if completed else None,
    )
    return name, msgspec.json.encode(body)


class _TranscriptionEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body for the `transcribe` dialect; what is not known is left out."""

    type: str
    job_id: str
    status: str
    result_url: str | None = None
    expires_at: str | None = None
    remaining_balance: float | None = None


def transcribe(job: Job, occasion: Occasion) -> tuple[str, bytes]:
    """`transcription.completed`, with a link to the result, or `transcription.failed`."""
    completed = job.state == "completed"
    name = f"transcription.{'completed' if completed else 'failed'}"
    body = _TranscriptionEvent(
        type=name,
        job_id=job.job_id,
        status=outcome(job),
        result_url=occasion.result_url if completed else None,
        expires_at=time_text(occasion.result_until) if completed else None,
        remaining_balance=None if job.balance_micros is None else dollars(job.balance_micros),
    )
    return name, msgspec.json.encode(body)


EVENTS: dict[str, Event] = {"jobs": jobs, "transcribe": transcribe}
"""By dialect."""
