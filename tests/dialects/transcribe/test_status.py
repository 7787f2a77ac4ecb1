"""Is the table of states whole: every word of the API, every stage of a job, and what may follow what?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from api.dialects.transcribe import status
from api.dialects.transcribe.status import (
    STATUSES,
    SUCCEEDED,
    TERMINAL,
    first_attempt,
    job_status_of,
    status_of,
)
from tests.dialects.transcribe.follows import FOLLOWS
from tiro.model.blob import BlobRef
from tiro.model.hook import Delivery, SealedUrl
from tiro.model.job import Job, Stage
from tiro.model.request import AwaitedSource, JobOptions, ManifestSource, Source, UploadedSource, UrlSource

NOW = datetime(2026, 6, 4, 12, tzinfo=UTC)
BLOB = BlobRef("jobs/job_1/source", 5, None)
SEED = {
    *("uploading", "verifying", "queued", "completed", "completed_with_errors"),
    *("result_available", "result_available_with_errors"),
    *("failed_batch_file_count_mismatch", "failed_batch_size_mismatch", "failed_batch_too_large"),
    *("failed_batch_total_size_mismatch", "failed_insufficient_credits", "failed_manifest_mismatch"),
    *("failed_missing_batch_file", "failed_result_missing", "failed_source_missing"),
    *("failed_unsupported_batch_format", "failed_upload_missing", "failed_upload_size_mismatch"),
}
"""As the vendor's page lists them."""
OURS = {"failed_upload_expired", "failed_cancelled", "failed_import", "failed_transcription"}


def job(source: Source | None = None, **fields: Any) -> Job:
    return Job(
        job_id="job_1",
        account_id="acct_1",
        dialect="transcribe",
        options=JobOptions(),
        source=source or UploadedSource(BLOB),
        created_at=NOW,
        changed_at=NOW,
        **fields,
    )


def delivery(**fields: Any) -> Delivery:
    told: dict[str, Any] = {
        "event_id": "evt_1",
        "job_id": "job_1",
        "account_id": "acct_1",
        "dialect": "transcribe",
        "event": "transcription.completed",
        "url": SealedUrl(b"", "hooks.example"),
        "scheme": "transcribe",
        "body": BLOB,
        "created_at": NOW,
    }
    return Delivery(**(told | fields))


@pytest.mark.promise("T7", "T24")
def test_the_table_has_the_words_of_the_api_and_four_of_ours() -> None:
    assert STATUSES == SEED | OURS
    assert FOLLOWS.keys() == STATUSES
    assert set().union(*FOLLOWS.values()) <= STATUSES


@pytest.mark.promise("T1")
def test_nothing_follows_an_end_and_every_other_status_leads_to_one() -> None:
    assert {one for one in STATUSES if not FOLLOWS[one]} == TERMINAL
    assert all(FOLLOWS[one] & TERMINAL for one in STATUSES - TERMINAL)


@pytest.mark.promise("T24")
def test_pollers_read_one_of_three_ends() -> None:
    assert {job_status_of(one) for one in SUCCEEDED} == {"completed"}
    assert {job_status_of(one) for one in TERMINAL - SUCCEEDED} == {"failed", "insufficient_funds"}
    assert job_status_of("failed_insufficient_credits") == "insufficient_funds"
    assert {job_status_of(one) for one in STATUSES - TERMINAL} == {"uploading", "verifying", "queued"}


@pytest.mark.promise("T24")
@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_of_every_source_has_a_status(stage: Stage) -> None:
    """Only what is fetched or looked at is being verified; the line and the transcription itself are `queued`."""
    sources: dict[str, Source] = {
        "uploaded": UploadedSource(BLOB),
        "url": UrlSource(b""),
        "batch": ManifestSource(BLOB, 2, 1),
        "batch of addresses": ManifestSource(BLOB, 2, 0),
    }
    shown = {name: status_of(job(source, stage=stage), "none") for name, source in sources.items()}
    early = "verifying" if stage in {"fetching", "preparing"} else "queued"
    fetched = "verifying" if stage == "queued" else early
    assert shown == {"uploaded": early, "batch": early, "url": fetched, "batch of addresses": fetched}


@pytest.mark.promise("T24")
def test_what_is_awaited_is_uploading_until_it_ends() -> None:
    assert status_of(job(AwaitedSource(), awaiting=True), "none") == "uploading"
    assert status_of(job(ManifestSource(BLOB, 2, 1), awaiting=True), "none") == "uploading"
    gone = job(AwaitedSource(), awaiting=True, state="failed", error_code="upload_expired")
    assert status_of(gone, "ahead") == "failed_upload_expired"


@pytest.mark.promise("T1")
@pytest.mark.parametrize(
    ("told", "attempt"),
    [
        ([], "refused"),
        ([delivery()], "ahead"),
        ([delivery(attempts=1)], "refused"),
        ([delivery(attempts=1, state="delivered")], "taken"),
        ([delivery(attempts=3, state="delivered")], "refused"),
        ([delivery(attempts=6, state="exhausted")], "refused"),
        ([delivery(state="stopped")], "refused"),
        ([delivery(created_at=NOW - timedelta(days=1), attempts=1, state="delivered"), delivery()], "ahead"),
    ],
)
def test_the_first_attempt_decides(told: list[Delivery], attempt: str) -> None:
    """An event of an earlier run says nothing of this one; one that is gone or stopped is waited for by nobody."""
    ended = job(state="completed", ended_at=NOW, webhook_url=SealedUrl(b"", "hooks.example"))
    assert first_attempt(ended, told) == attempt
    assert first_attempt(job(state="completed", ended_at=NOW), told) == "none"


@pytest.mark.promise("T1")
@pytest.mark.parametrize("attempt", get_args(status.FirstAttempt))
def test_a_failure_waits_for_no_webhook(attempt: status.FirstAttempt) -> None:
    assert status_of(job(state="failed", error_code="invalid_audio"), attempt) == "failed_transcription"
    assert status_of(job(state="cancelled"), attempt) == "failed_cancelled"
