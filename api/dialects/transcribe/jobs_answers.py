"""From a job to what is said of it: pure functions. What only its end decides is not told before the end is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.transcribe.jobs_wire import (
    Created,
    FileUpload,
    JobAnswer,
    PartUrl,
    Upload,
    UploadCompleted,
    UploadedPart,
)
from api.dialects.transcribe.status import (
    SUCCEEDED,
    TERMINAL,
    delivery_of,
    first_attempt,
    job_status_of,
    status_of,
)
from tiro.model.hook import Delivery
from tiro.model.job import Job
from tiro.model.upload import Instructions, PutInstructions
from tiro.render.documents import dollars
from tiro.render.outcomes import SENTENCES
from tiro.render.times import time_text


class Seen(msgspec.Struct, frozen=True):
    """A job as it is shown at one moment."""

    job: Job
    status: str
    delivered_at: datetime | None

    @property
    def job_status(self) -> str:
        """What pollers go by."""
        return job_status_of(self.status)

    @property
    def over(self) -> bool:
        """Whether its end is shown; before the first attempt at its webhook it is not."""
        return self.status in TERMINAL

    @property
    def has_result(self) -> bool:
        return self.status in SUCCEEDED


class Link(msgspec.Struct, frozen=True):
    """Where the result is, and how long it can be had there."""

    url: str
    until: datetime


def seen(job: Job, deliveries: Sequence[Delivery]) -> Seen:
    """`deliveries`: all events of the job, oldest first."""
    told = delivery_of(job, deliveries)
    return Seen(job, status_of(job, first_attempt(job, deliveries)), told.delivered_at if told else None)


def created(now: Seen, uploads: list[FileUpload]) -> Created:
    """`uploads` []: nothing is to be brought, or it is asked for page by page."""
    return Created(
        job_id=now.job.job_id,
        status=now.status,
        job_status=now.job_status,
        total_files=_files(now.job),
        uploads=uploads,
        reference_id=_told(now.job.reference),
    )


def file_upload(reference: str, name: str | None, how: Instructions) -> FileUpload:
    """By both names that clients look for."""
    return FileUpload(reference_id=reference, file_id=reference, filename=name, key=how.key, upload=upload_of(how))


def upload_of(how: Instructions) -> Upload:
    """One PUT, or parts."""
    if isinstance(how, PutInstructions):
        return Upload(type="put", key=how.key, url=how.url, headers=how.headers)
    return Upload(
        type="multipart",
        key=how.key,
        upload_id=how.upload_id,
        part_size=how.part_bytes,
        parts=[PartUrl(part.number, part.url) for part in how.parts],
        uploaded_parts=[
            UploadedPart(number, part.etag, part.size_bytes) for number, part in sorted(how.present.items())
        ]
        or UNSET,
        complete_url=how.complete_url,
        abort_url=how.abort_url,
    )


def upload_completed(now: Seen) -> UploadCompleted:
    """Nothing is billed yet."""
    return UploadCompleted(
        job_id=now.job.job_id,
        status=now.status,
        job_status=now.job_status,
        billed_seconds=0,
        cost=0.0,
        total_files=_files(now.job),
    )


def job_answer(now: Seen, link: Link | None) -> JobAnswer:
    """`link`: of one that has a result."""
    job, over = now.job, now.over
    failed = over and not now.has_result
    return JobAnswer(
        job_id=job.job_id,
        status=now.status,
        job_status=now.job_status,
        created_at=time_text(job.created_at),
        total_files=_files(job),
        processed_files=job.files_done if job.is_batch else int(over),
        failed_files=job.files_failed if job.is_batch else int(failed),
        progress=round(job.progress if over else min(job.progress, 0.99), 4),
        billed_seconds=(job.billed_s or 0) if over else 0,
        price_per_hour=dollars(job.micros_per_hour or 0),
        cost=dollars(job.cost_micros or 0) if over else 0.0,
        remaining_balance=dollars(job.balance_micros) if over and job.balance_micros is not None else UNSET,
        reference_id=_told(job.reference),
        result_url=link.url if link else UNSET,
        expires_at=time_text(link.until) if link else UNSET,
        completed_at=time_text(job.ended_at) if over and job.ended_at else UNSET,
        webhook_delivered_at=time_text(now.delivered_at) if now.delivered_at else UNSET,
        error=SENTENCES[now.status] if failed else UNSET,
        code=now.status if failed else UNSET,
    )


def _files(job: Job) -> int:
    return 1 if job.files_total is None else job.files_total


def _told(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text
