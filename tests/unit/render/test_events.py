"""Does an ended job's event say exactly what the API promises, and nothing more?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tiro.model.blob import BlobRef
from tiro.model.hook import SealedUrl
from tiro.model.job import Job, JobState
from tiro.model.request import JobOptions, UploadedSource
from tiro.render import EVENTS

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = Job(
    job_id="job_01HZ0000000000000000000000",
    account_id="acc_1",
    dialect="jobs",
    options=JobOptions(prompt="a hidden prompt"),
    source=UploadedSource(BlobRef("jobs/job_1/source", 5, "0" * 64)),
    created_at=CREATED,
    changed_at=CREATED + timedelta(minutes=10),
    ended_at=CREATED + timedelta(minutes=10),
    language="en",
    engine="whisper_large_v3",
    decoded_s=3612.00049,
    webhook_url=SealedUrl(b"hidden", "hidden.example"),
)
FAILED = msgspec.structs.replace(
    JOB, state="failed", error_code="invalid_audio", error_reason="empty_audio", engine=None, language=None
)


def event(job: Job, public_url: str = "https://api.example.test") -> tuple[str, dict[str, Any]]:
    name, body = EVENTS["jobs"](job, "evt_1", public_url)
    return name, json.loads(body)


def in_state(state: JobState) -> Job:
    return msgspec.structs.replace(JOB, state=state)


@pytest.mark.promise("J35")
def test_a_completed_job() -> None:
    name, body = event(in_state("completed"))
    assert name == "job.completed"
    assert body == {
        "id": "evt_1",
        "event": "job.completed",
        "job_id": JOB.job_id,
        "status": "completed",
        "created_at": "2026-03-01T12:00:00.000Z",
        "completed_at": "2026-03-01T12:10:00.000Z",
        "language": "en",
        "duration_seconds": 3612.0,
        "engine": "whisper_large_v3",
        "error": None,
        "reason": None,
        "transcript_url": f"https://api.example.test/jobs/{JOB.job_id}/transcript",
    }


@pytest.mark.promise("J35")
def test_a_failed_job_has_its_reason_and_no_transcript() -> None:
    name, body = event(FAILED)
    assert name == "job.failed"
    assert (body["error"], body["reason"], body["transcript_url"]) == ("invalid_audio", "empty_audio", None)
    assert list(body) == list(event(in_state("completed"))[1])


@pytest.mark.promise("J35")
def test_a_cancelled_job_has_neither_error_nor_transcript() -> None:
    name, body = event(in_state("cancelled"))
    assert name == "job.cancelled"
    assert (body["status"], body["error"], body["reason"], body["transcript_url"]) == ("cancelled", None, None, None)


def test_times_are_utc_wherever_they_come_from() -> None:
    away = CREATED.astimezone(timezone(timedelta(hours=5, minutes=30)))
    _, body = event(msgspec.structs.replace(in_state("completed"), created_at=away))
    assert body["created_at"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize("job", [in_state("completed"), FAILED])
@pytest.mark.promise("J35")
def test_the_same_job_gives_the_same_bytes_without_secrets(job: Job) -> None:
    first = EVENTS["jobs"](job, "evt_1", "https://api.example.test/")
    assert first == EVENTS["jobs"](job, "evt_1", "https://api.example.test/")
    assert b"hidden" not in first[1]
    assert b"test//jobs" not in first[1]
