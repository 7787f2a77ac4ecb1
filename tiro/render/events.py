"""What a webhook says when a job has ended. Never any of the text, and no address but our own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tiro.model.job import Job
from tiro.render.times import time_text

Event = Callable[[Job, str, str], tuple[str, bytes]]
"""(ended job, event id, public address of this server) -> (event name, body). The same arguments give the same bytes."""


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


def jobs(job: Job, event_id: str, public_url: str) -> tuple[str, bytes]:
    """`job.completed`, `job.failed` or `job.cancelled`. Times are written as in the answers."""
    name = f"job.{job.state}"
    failed, completed = job.state == "failed", job.state == "completed"
    body = _JobEvent(
        id=event_id,
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
        transcript_url=f"{public_url.rstrip('/')}/jobs/{job.job_id}/transcript" if completed else None,
    )
    return name, msgspec.json.encode(body)


EVENTS: dict[str, Event] = {"jobs": jobs}
"""By dialect."""
