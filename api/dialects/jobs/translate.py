"""From the wire to the core's words and back: pure functions, one per request or answer."""

from __future__ import annotations

import io
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

from api.body import take
from api.dialects.jobs.faults import message_of
from api.dialects.jobs.wire import (
    RENDERED,
    Accepted,
    Cursor,
    JobAnswer,
    JobFields,
    JobStatus,
    TranscriptAnswer,
    WebhookState,
    WireSegment,
    WireSpeaker,
    WireWord,
)
from api.once import fingerprint
from tiro.model.blob import BlobRef
from tiro.model.errors import Invalid
from tiro.model.hook import Delivery
from tiro.model.ids import is_id
from tiro.model.job import Job, JobState
from tiro.model.languages import LANGUAGES
from tiro.model.request import JobOptions
from tiro.model.transcript import AnyTranscript, Segment, Word, speaker_label
from tiro.render.neutral import json_pieces
from tiro.render.times import time_text
from tiro.services.jobs import Progress
from tiro.services.replays import Once

DIALECT = "jobs"
_UNKNOWN_RETRY_S = 5
_PAGE, _LARGEST_PAGE = 50, 200


class PageQuery(msgspec.Struct, frozen=True):
    """What GET /jobs asks for."""

    state: JobState | None
    since: datetime | None
    after: tuple[datetime, str] | None
    limit: int


def fields_of(values: Mapping[str, object], *, form: bool) -> JobFields:
    """The fields of POST /jobs. Raises Invalid with `param`."""
    return take(values, JobFields, strict=not form)


def options_of(fields: JobFields) -> JobOptions:
    """Raises Invalid `invalid_language`."""
    if fields.language != "auto" and fields.language not in LANGUAGES:
        raise Invalid("invalid_language", "The language is auto or a code such as en.", param="language")
    return JobOptions(
        language=None if fields.language == "auto" else fields.language, diarize=fields.diarize, formats=RENDERED
    )


def flag_of(query: Mapping[str, str], name: str) -> bool:
    """true, false, 1 or 0; absent: false. Raises Invalid."""
    values = {"true": True, "1": True, "false": False, "0": False}
    if query.get(name, "false").lower() not in values:
        raise Invalid("invalid_request", f"{name} is true or false.", param=name)
    return values[query.get(name, "false").lower()]


def job_id_of(text: str) -> str | None:
    """None for what cannot be the id of a job."""
    return text if is_id("job", text) else None


def page_query_of(query: Mapping[str, str]) -> PageQuery:
    """Raises Invalid with `param`."""
    status = query.get("status")
    if status is not None and status not in get_args(JobStatus):
        raise Invalid("invalid_request", f"status is one of {', '.join(get_args(JobStatus))}.", param="status")
    limit = query.get("limit", str(_PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _LARGEST_PAGE):
        raise Invalid("invalid_request", f"limit is 1 to {_LARGEST_PAGE}.", param="limit")
    since, cursor = query.get("since"), query.get("cursor")
    return PageQuery(
        state=status,  # type: ignore[arg-type]  # one of the five words, checked above
        since=None if since is None else _moment(since),
        after=None if cursor is None else _after(cursor),
        limit=int(limit),
    )


def cursor_of(job: Job) -> str:
    """Where the page after this job begins."""
    return urlsafe_b64encode(msgspec.json.encode(Cursor(job.changed_at, job.job_id))).rstrip(b"=").decode()


def accepted(job: Job) -> bytes:
    """The body that answers a new job, the same each time it is given."""
    return msgspec.json.encode(Accepted(job.job_id, job.state, time_text(job.created_at)))


def once_of(name: str | None, fields: JobFields, overage: bool, file: BlobRef | None) -> Once | None:
    """All that counts of a request to POST /jobs: however it is written, the same job is the same request."""
    if name is None:
        return None
    return Once(name, fingerprint((fields, overage, file and file.sha256)), accepted)


def job_answer(job: Job, progress: Progress, deliveries: Sequence[Delivery]) -> JobAnswer:
    """`deliveries`: the job's webhook events, oldest first; needed only where it has a webhook and has ended."""
    return JobAnswer(
        job_id=job.job_id,
        status=job.state,
        created_at=time_text(job.created_at),
        started_at=_time(job.started_at),
        completed_at=_time(job.ended_at),
        stage=job.stage,
        progress=round(progress.progress, 4),
        eta_seconds=None if progress.eta_s is None else math.ceil(progress.eta_s),
        language=job.language,
        duration_seconds=None if job.decoded_s is None else round(job.decoded_s, 3),
        engine=job.engine,
        fallback=job.fallback,
        billed_seconds=job.billed_s,
        overage_seconds=job.overage_s,
        error=job.error_code,
        reason=job.error_reason,
        message=message_of(job),
        webhook=None if job.webhook_url is None else _webhook(deliveries),
        source_deleted_at=_time(job.source_deleted_at),
    )


def retry_after_s(job: Job, progress: Progress) -> int | None:
    """When to look again: what is estimated to remain, 1 to 15 s; None on a job that has ended."""
    if job.ended:
        return None
    return _UNKNOWN_RETRY_S if progress.eta_s is None else min(15, max(1, math.ceil(progress.eta_s)))


def transcript_answer(transcript: AnyTranscript) -> bytes:
    """The body, a `TranscriptAnswer`. Times to the millisecond, confidences to the hundredth."""
    head = TranscriptAnswer(
        job_id=transcript.job_id,
        language=transcript.language,
        language_detected=transcript.language_detected,
        duration_seconds=round(transcript.duration_s, 3),
        engine=transcript.engine,
        fallback=transcript.fallback,
        diarizer=transcript.diarizer,
        speakers=[
            WireSpeaker(one.label, None if one.confidence is None else round(one.confidence, 2))
            for one in transcript.speakers
        ],
        segments=[],
        warnings=list(transcript.warnings),
    )
    body = io.BytesIO()
    body.writelines(json_pieces(head, map(_segment, transcript.segments)))
    return body.getvalue()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _moment(text: str) -> datetime:
    """RFC 3339 (a `+` that was sent as a space is forgiven) or unix seconds."""
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        moment = msgspec.convert(text.replace(" ", "+"), datetime)
        return moment.astimezone(UTC) if moment.tzinfo else _refuse_moment()
    except (ValueError, OverflowError, OSError):
        return _refuse_moment()


def _refuse_moment() -> datetime:
    raise Invalid("invalid_request", "since is RFC 3339 with an offset, or unix seconds.", param="since")


def _after(text: str) -> tuple[datetime, str]:
    """Raises Invalid for what no answer of ours said."""
    try:
        if not text.isascii() or len(text) > 200:
            raise ValueError
        cursor = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        if cursor.changed_at.tzinfo is None or not is_id("job", cursor.job_id):
            raise ValueError
        return cursor.changed_at.astimezone(UTC), cursor.job_id
    except (ValueError, OverflowError, msgspec.MsgspecError):
        raise Invalid("invalid_request", "The cursor is not one of ours.", param="cursor") from None


def _webhook(deliveries: Sequence[Delivery]) -> WebhookState:
    if not deliveries:
        return WebhookState("waiting", 0, None, None)
    last = deliveries[-1]
    return WebhookState(last.state, last.attempts, last.last_status, _time(last.next_attempt_at))


def _segment(segment: Segment) -> WireSegment:
    return WireSegment(
        speaker=_label(segment.speaker),
        start=round(segment.start_s, 3),
        end=round(segment.end_s, 3),
        text=segment.text,
        confidence=round(segment.confidence, 2),
        engine=segment.engine,
        words=[_word(word) for word in segment.words],
    )


def _word(word: Word) -> WireWord:
    return WireWord(
        word.text, round(word.start_s, 3), round(word.end_s, 3), round(word.confidence, 2), _label(word.speaker)
    )


def _label(speaker: int | None) -> str | None:
    return None if speaker is None else speaker_label(speaker)
