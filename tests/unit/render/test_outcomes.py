"""Is every way in which a job ends called by the transcribe API's word for it?"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from tiro.model.blob import BlobRef
from tiro.model.job import Job
from tiro.model.request import JobOptions, UploadedSource
from tiro.render.outcomes import FAILED, SENTENCES, failed, failed_file, outcome
from tiro.services.ending import PUBLIC_CODES

NOW = datetime(2026, 6, 4, 12, tzinfo=UTC)
JOB = Job(
    job_id="job_1",
    account_id="acc_1",
    dialect="transcribe",
    options=JobOptions(),
    source=UploadedSource(BlobRef("jobs/job_1/source", 5, "0" * 64)),
    created_at=NOW,
    changed_at=NOW,
)


@pytest.mark.promise("T7")
def test_every_word_of_the_api_is_in_the_table_and_has_a_sentence() -> None:
    words = {*FAILED.values(), "failed_source_missing", "failed_transcription", "failed_cancelled"}
    assert words == set(SENTENCES)
    assert set(FAILED) <= PUBLIC_CODES


@pytest.mark.promise("T7")
@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_address_that_refuses_for_good_has_no_source(status: int) -> None:
    assert failed("source_unavailable", "http_status", {"upstream_status": status}) == "failed_source_missing"


@pytest.mark.promise("T7")
def test_any_other_trouble_with_an_address_is_an_import_that_failed() -> None:
    assert failed("source_unavailable", "http_status", {"upstream_status": 500}) == "failed_import"
    assert failed("source_unavailable", "playlist") == "failed_import"
    assert failed("source_unavailable", "gone") == "failed_source_missing"


@pytest.mark.promise("T7")
def test_what_has_no_word_of_its_own_is_a_transcription_that_failed() -> None:
    assert {failed(code) for code in ("invalid_audio", "transient_error", "new_one", None)} == {"failed_transcription"}


@pytest.mark.promise("T40")
def test_a_refused_recording_of_a_batch_is_of_a_format_that_is_not_supported() -> None:
    assert failed_file("invalid_audio", "decode_failed") == "failed_unsupported_batch_format"
    assert failed_file("transient_error") == "failed_transcription"


@pytest.mark.promise("T27")
def test_an_ended_job_is_called_by_how_it_ended() -> None:
    ended = {
        "completed": msgspec.structs.replace(JOB, state="completed"),
        "completed_with_errors": msgspec.structs.replace(JOB, state="completed", files_total=2, files_failed=1),
        "failed_cancelled": msgspec.structs.replace(JOB, state="cancelled"),
        "failed_upload_missing": msgspec.structs.replace(JOB, state="failed", error_code="upload_missing"),
    }
    assert {word: outcome(job) for word, job in ended.items()} == {word: word for word in ended}
