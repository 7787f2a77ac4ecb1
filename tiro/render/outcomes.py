"""By which of the transcribe API's words did a job, or a file of a batch, end? One table for answers, webhooks and documents."""

from __future__ import annotations

from collections.abc import Mapping

from tiro.model.errors import SOURCE_GONE
from tiro.model.job import Job

FAILED: dict[str, str] = {
    "insufficient_funds": "failed_insufficient_credits",
    "upload_missing": "failed_upload_missing",
    "upload_size_mismatch": "failed_upload_size_mismatch",
    "upload_expired": "failed_upload_expired",
    "file_missing": "failed_missing_batch_file",
    "file_size_mismatch": "failed_batch_size_mismatch",
    "total_size_mismatch": "failed_batch_total_size_mismatch",
    "file_count_mismatch": "failed_batch_file_count_mismatch",
    "batch_too_large": "failed_batch_too_large",
    "file_too_large": "failed_batch_too_large",
    "manifest_mismatch": "failed_manifest_mismatch",
    "no_usable_file": "failed_unsupported_batch_format",
    "result_missing": "failed_result_missing",
    "source_unavailable": "failed_import",
}
"""By the core's code. What is not here is `failed_transcription`."""

SENTENCES: dict[str, str] = {
    "failed_insufficient_credits": "The balance was too low to transcribe it.",
    "failed_upload_missing": "The upload was said to be complete, but nothing had been uploaded.",
    "failed_upload_size_mismatch": "The upload has not the size that was declared.",
    "failed_upload_expired": "The upload was not completed in time.",
    "failed_missing_batch_file": "The file was never uploaded.",
    "failed_batch_size_mismatch": "The file has not the size that was declared.",
    "failed_batch_total_size_mismatch": "The files together have not the size that was declared.",
    "failed_batch_file_count_mismatch": "There are not as many files as were declared.",
    "failed_batch_too_large": "The files together are larger than a batch may be.",
    "failed_manifest_mismatch": "The stored list of files is not the one that was handed in.",
    "failed_unsupported_batch_format": "The format of the file is not supported, or it holds no audio that can be read.",
    "failed_result_missing": "The result was gone before the job ended.",
    "failed_source_missing": "There is nothing at the address of the file.",
    "failed_import": "The file could not be fetched from its address.",
    "failed_cancelled": "It was cancelled.",
    "failed_transcription": "The audio could not be transcribed.",
}
"""What each of them says to a person."""

_NOT_THERE = frozenset({"gone", "unknown_host", "source_unreachable", "source_timeout", "dns", "blob_missing"})
"""Reasons of a source that cannot be had, for good or after it was asked for often enough."""


def failed(code: str | None, reason: str | None = None, extras: Mapping[str, object] | None = None) -> str:
    """`failed_*` for a core code. By its reason, or by the `upstream_status` of its extras, a source is not there."""
    if code in {"source_unavailable", "transient_error"} and reason in _NOT_THERE:
        return "failed_source_missing"
    if code == "source_unavailable" and (extras or {}).get("upstream_status") in SOURCE_GONE:
        return "failed_source_missing"
    return FAILED.get(code or "", "failed_transcription")


def failed_file(code: str | None, reason: str | None = None) -> str:
    """The same for a file of a batch: a recording that is refused has a word of its own there."""
    return "failed_unsupported_batch_format" if code == "invalid_audio" else failed(code, reason)


def outcome(job: Job) -> str:
    """How an ended job ended: `completed`, `completed_with_errors` or `failed_*`. Whether its webhook was taken is not in it."""
    match job.state:
        case "completed":
            return "completed_with_errors" if job.files_failed else "completed"
        case "cancelled":
            return "failed_cancelled"
        case _:
            return failed(job.error_code, job.error_reason, job.error_extras)
