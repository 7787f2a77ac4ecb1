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
from tiro.render.events import Occasion

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
    name, body = EVENTS["jobs"](job, occasion(public_url))
    return name, json.loads(body)


def occasion(public_url: str = "https://api.example.test") -> Occasion:
    return Occasion("evt_1", public_url, "https://api.example.test/files/pass", CREATED + timedelta(days=7))


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
    first = EVENTS["jobs"](job, occasion("https://api.example.test/"))
    assert first == EVENTS["jobs"](job, occasion("https://api.example.test/"))
    assert b"hidden" not in first[1]
    assert b"test//jobs" not in first[1]


# ---- the transcribe API

DONE = msgspec.structs.replace(JOB, dialect="transcribe", state="completed")
FAILURES = [
    ({"state": "failed", "error_code": "upload_missing"}, "failed_upload_missing"),
    ({"state": "failed", "error_code": "insufficient_funds"}, "failed_insufficient_credits"),
    ({"state": "cancelled"}, "failed_cancelled"),
    (
        {"state": "failed", "error_code": "source_unavailable", "error_extras": {"upstream_status": 404}},
        "failed_source_missing",
    ),
]


def transcription(**changes: Any) -> tuple[str, dict[str, Any]]:
    name, body = EVENTS["transcribe"](msgspec.structs.replace(DONE, **changes), occasion())
    return name, json.loads(body)


def test_a_finished_transcription_says_where_its_result_is_and_until_when() -> None:
    name, body = transcription()
    assert name == "transcription.completed"
    assert body == {
        "type": "transcription.completed",
        "job_id": JOB.job_id,
        "status": "completed",
        "result_url": "https://api.example.test/files/pass",
        "expires_at": "2026-03-08T12:00:00.000Z",
    }
    assert list(body) == ["type", "job_id", "status", "result_url", "expires_at"]


def test_a_batch_of_which_files_failed_is_completed_with_errors() -> None:
    name, body = transcription(files_total=3, files_failed=1)
    assert (name, body["status"]) == ("transcription.completed", "completed_with_errors")
    assert "result_url" in body


@pytest.mark.promise("T27")
@pytest.mark.parametrize(("changes", "status"), FAILURES)
def test_a_failed_transcription_has_its_word_and_no_result(changes: dict[str, Any], status: str) -> None:
    name, body = transcription(**changes)
    assert name == "transcription.failed"
    assert body == {"type": name, "job_id": JOB.job_id, "status": status}


def test_the_balance_is_told_where_it_is_known() -> None:
    assert transcription(balance_micros=4_970_458)[1]["remaining_balance"] == 4.970458
