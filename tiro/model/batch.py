"""Many files under one job: the manifest that was handed in, and what became of each file."""

from __future__ import annotations

from typing import Literal

import msgspec

from tiro.model.blob import BlobRef

PAGE_FILES = 100
"""Entries of one page of a manifest, and files of one page of the work."""
MAX_FILES = 10_000
MAX_BYTES = 10 << 30
"""Of one batch, brought and fetched together."""
FileState = Literal["prepared", "completed", "failed"]


class BatchEntryWish(msgspec.Struct, frozen=True, kw_only=True):
    """One file as a request names it, in the order of the request. With `url` it is fetched, else its bytes are to be brought.

    `size_bytes`, `media_type`, `name` None: not declared. `language` None: that of the job.
    """

    reference: str
    url: str | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    name: str | None = None
    language: str | None = None


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file as its owner named it. With `sealed_url` it is fetched, else its bytes are brought to its source's key.

    `size_bytes`, `media_type`, `name` None: not declared. `language` None: that of the job.
    """

    index: int
    reference: str
    sealed_url: bytes | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    name: str | None = None
    language: str | None = None


class ManifestIndex(msgspec.Struct, frozen=True):
    """The pages of a manifest, in order, and what was said of the whole. `declared_files`, `declared_bytes` None: nothing was."""

    files: int
    pages: tuple[BlobRef, ...]
    uploads: int
    """How many of the files are brought, not fetched."""
    declared_files: int | None = None
    declared_bytes: int | None = None


class BatchFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `seconds`: billable ones; `pack`: name of the blob that holds its transcript, "" a blob of its own.

    `run`: the run of the batch that brought it there. A file without a row has not come so far.
    """

    job_id: str
    index: int
    run: int
    state: FileState
    seconds: int = 0
    pack: str | None = None
    error_code: str | None = None
    error_reason: str | None = None


class Tally(msgspec.Struct, frozen=True):
    """Of a batch: files completed and failed in all; of one run: billable seconds that are prepared or completed, and completed."""

    completed: int
    failed: int
    prepared_s: int
    completed_s: int


def pages_of(files: int) -> int:
    """How many pages so many files fill."""
    return -(-files // PAGE_FILES)
