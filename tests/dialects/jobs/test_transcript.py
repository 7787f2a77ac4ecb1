"""GET /jobs/{id}/transcript."""

from __future__ import annotations

import pytest

from tests.servers.api import Api

TYPES = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@pytest.mark.promise("J31", "J33")
async def test_json_is_the_default_and_complete(api: Api) -> None:
    """The documented keys, words with times, numbers rounded to 3 and 2 digits."""
    job_id = await api.submit()
    await api.complete(job_id)
    plain = await api.http.get(f"/jobs/{job_id}/transcript")
    named = await api.http.get(f"/jobs/{job_id}/transcript?format=json", headers={"Accept": "text/html"})
    assert plain.json() == named.json()
    told = plain.json()
    assert {"job_id", "language", "duration_seconds", "speakers", "segments", "engine"} <= set(told)
    assert (told["diarizer"], told["fallback"], told["language_detected"]) == ("acoustic", False, True)
    assert told["speakers"] == [{"id": "speaker_0", "confidence": 0.75}, {"id": "speaker_1", "confidence": None}]
    first = told["segments"][0]
    assert {**first, "words": first["words"][:1]} == {
        "speaker": "speaker_0",
        "start": 0.42,
        "end": 0.9,
        "text": "So tell.",
        "confidence": 0.93,
        "engine": "scripted_primary",
        "words": [{"word": "So", "start": 0.42, "end": 0.6, "confidence": 0.99, "speaker": "speaker_0"}],
    }


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.promise("J32")
async def test_files_come_as_files(api: Api, name: str) -> None:
    """Type, attachment with a safe name, nosniff."""
    job_id = await api.submit()
    await api.complete(job_id)
    answer = await api.http.get(f"/jobs/{job_id}/transcript?format={name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[name]
    assert answer.headers["content-disposition"] == f'attachment; filename="{job_id}.{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content


@pytest.mark.parametrize("name", ["", "pdf", "JSON", "../json"])
@pytest.mark.promise("J31")
async def test_an_unknown_format_names_the_known_ones(api: Api, name: str) -> None:
    job_id = await api.submit()
    answer = await api.http.get(f"/jobs/{job_id}/transcript?format={name}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_format")
    assert answer.json()["formats"] == ["json", "txt", "srt", "vtt", "docx"]


@pytest.mark.promise("J31")
async def test_before_the_end_there_is_no_transcript(api: Api) -> None:
    """409 not_ready with Retry-After and the status."""
    job_id = await api.submit()
    answer = await api.http.get(f"/jobs/{job_id}/transcript")
    assert (answer.status_code, answer.json()["error"], answer.json()["status"]) == (409, "not_ready", "queued")
    assert 1 <= int(answer.headers["retry-after"]) <= 15
    assert "retry_after_s" not in answer.json()


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("invalid_audio", "decode_failed", 415),
        ("quota_exceeded", "engine_quota", 402),
        ("transient_error", None, 503),
        ("file_too_large", None, 413),
        ("source_unavailable", "http_status", 422),
    ],
)
@pytest.mark.promise("J23", "J24", "J31")
async def test_a_failed_job_answers_with_its_own_code(api: Api, code: str, reason: str | None, status: int) -> None:
    job_id = await api.submit()
    await api.fail(job_id, code, reason)
    answer = await api.http.get(f"/jobs/{job_id}/transcript?format=txt")
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json().get("reason") == reason


@pytest.mark.promise("J31")
async def test_a_cancelled_job_has_none(api: Api) -> None:
    """409 job_cancelled."""
    job_id = await api.submit()
    await api.http.post(f"/jobs/{job_id}/cancel")
    answer = await api.http.get(f"/jobs/{job_id}/transcript")
    assert (answer.status_code, answer.json()["error"]) == (409, "job_cancelled")
