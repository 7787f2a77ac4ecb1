"""What is said about async jobs: requests and answers as they look on the wire. Money in dollars, times in RFC 3339 with milliseconds.

What is absent is left out: clients of this API ask whether a field is there.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class UrlPlace(msgspec.Struct, frozen=True):
    """`source` of a big file that is fetched."""

    type: str
    url: str


class BigFileFields(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/jobs, `type` big_file: exactly one of `size_bytes` and `source`. The options stand beside these."""

    size_bytes: int | None = None
    source: dict[str, Any] | None = None
    content_type: str | None = None
    filename: str | None = None
    reference_id: str | None = None
    webhook_url: str | None = None


class BatchFields(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/jobs, `type` batch, and POST /v1/transcribe as JSON, which names no type: there one file is a big file."""

    files: list[Any]
    file_count: int | None = None
    total_size_bytes: int | None = None
    reference_id: str | None = None
    webhook_url: str | None = None


class FileFields(msgspec.Struct, frozen=True, kw_only=True):
    """One of `files`. With `url` it is fetched, else it is uploaded. `language` null: found by the recording."""

    reference_id: str | None = None
    file_id: str | None = None
    url: str | None = None
    filename: str | None = None
    size_bytes: int | None = None
    content_type: str | None = None
    language: str | None = None


class UploadPage(msgspec.Struct, frozen=True):
    """POST /v1/jobs/{id}/upload-urls."""

    files: list[Any]


class ResumeFields(msgspec.Struct, frozen=True, kw_only=True):
    """`upload` of POST /v1/jobs/{id}/resume-upload: what the create answer said."""

    type: str | None = None
    key: str | None = None
    upload_id: str | None = None


class PartUrl(msgspec.Struct, frozen=True):
    """PUT the bytes of this part here; keep the answer's ETag."""

    part_number: int
    url: str


class UploadedPart(msgspec.Struct, frozen=True):
    """A part that has come; complete the upload with its ETag, too."""

    part_number: int
    etag: str
    size_bytes: int


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """How to bring the bytes: one PUT, or parts of `part_size` bytes and then one POST to `complete_url`."""

    type: str
    key: str
    url: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    upload_id: str | UnsetType = UNSET
    part_size: int | UnsetType = UNSET
    parts: list[PartUrl] | UnsetType = UNSET
    uploaded_parts: list[UploadedPart] | UnsetType = UNSET
    complete_url: str | UnsetType = UNSET
    abort_url: str | UnsetType = UNSET


class FileUpload(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the job and how to bring it."""

    reference_id: str
    file_id: str
    filename: str | None
    key: str
    upload: Upload


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """200 of POST /v1/jobs. A job without `uploads` begins by itself, or its upload URLs are asked for page by page."""

    job_id: str
    status: str
    job_status: str
    total_files: int
    uploads: list[FileUpload]
    reference_id: str | UnsetType = UNSET


class UploadUrls(msgspec.Struct, frozen=True):
    """200 of POST /v1/jobs/{id}/upload-urls."""

    job_id: str
    uploads: list[FileUpload]


class Resumed(msgspec.Struct, frozen=True):
    """200 of POST /v1/jobs/{id}/resume-upload: only what has not come yet."""

    job_id: str
    upload: Upload


class UploadCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """200 of POST /v1/transcribe/{id}/upload-completed."""

    job_id: str
    status: str
    job_status: str
    billed_seconds: int
    cost: float
    total_files: int


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /v1/transcribe/{id}. `error` and `code`: why it failed."""

    job_id: str
    status: str
    job_status: str
    created_at: str
    total_files: int
    processed_files: int
    failed_files: int
    progress: float
    billed_seconds: int
    price_per_hour: float
    cost: float
    remaining_balance: float | UnsetType = UNSET
    reference_id: str | UnsetType = UNSET
    result_url: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    completed_at: str | UnsetType = UNSET
    webhook_delivered_at: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
