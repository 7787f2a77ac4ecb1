"""By what word does the transcribe dialect call the end of a job? One table, for its answers and for its webhooks."""

from __future__ import annotations

from tiro.model.job import Job

FAILED: dict[str, str] = {
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
    "insufficient_funds": "failed_insufficient_credits",
    "result_missing": "failed_result_missing",
    "source_unavailable": "failed_import",
    "invalid_audio": "failed_transcription",
    "unsupported_language": "failed_transcription",
    "quota_exceeded": "failed_transcription",
    "transient_error": "failed_transcription",
}
"""By the core's code, where nothing more is known of it."""
CANCELLED = "failed_cancelled"
SOURCE_MISSING = "failed_source_missing"
_GONE = frozenset({403, 404, 410})
"""What a server answers for a recording that is not, or no longer, there."""
_NOT_THERE = frozenset(
    {
        *("unknown_host", "source_gone"),
        *("source_unreachable", "source_timeout", "dns", "reader", "blob_missing"),
    }
)
"""Reasons that mean the same, of `source_unavailable` and of `transient_error`."""


def verdict(job: Job) -> str:
    """Of a job that has ended: completed, completed_with_errors or `failed_*`. Whatever is not in the table failed while transcribing."""
    if job.state == "completed":
        return "completed_with_errors" if job.files_failed else "completed"
    if job.state == "cancelled":
        return CANCELLED
    return failed_word(job.error_code, job.error_reason, job.error_extras.get("upstream_status"))


def failed_word(code: str | None, reason: str | None = None, upstream_status: object = None) -> str:
    """The `failed_*` of a core code."""
    if code in {"source_unavailable", "transient_error"} and (reason in _NOT_THERE or upstream_status in _GONE):
        return SOURCE_MISSING
    return FAILED.get(code or "", FAILED["transient_error"])
