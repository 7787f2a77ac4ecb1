"""Many files under one job: the manifest that was handed in, and what became of each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
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


def fault_of(
    index: ManifestIndex, entries: Sequence[ManifestEntry], sizes: Mapping[int, int], completed: Container[int]
) -> str | None:
    """Why this batch cannot begin, or None. `sizes`: bytes of the recordings that are there. What is completed need not be there."""
    if index.declared_files not in {None, index.files}:
        return "file_count_mismatch"
    brought = [entry for entry in entries if entry.sealed_url is None and entry.index not in completed]
    if any(entry.index not in sizes for entry in brought):
        return "file_missing"
    if any(entry.size_bytes not in {None, sizes[entry.index]} for entry in brought):
        return "file_size_mismatch"
    if not _adds_up(index, entries, sizes, completed):
        return "total_size_mismatch"
    return "batch_too_large" if sum(sizes.values()) > MAX_BYTES else None


def _adds_up(
    index: ManifestIndex, entries: Sequence[ManifestEntry], sizes: Mapping[int, int], completed: Container[int]
) -> bool:
    """Whether the whole has the size that was declared, as far as the sizes of what is still to be fetched are known."""
    if index.declared_bytes is None or any(entry.index in completed for entry in entries):
        return True
    told = [entry.size_bytes if entry.sealed_url is not None else sizes[entry.index] for entry in entries]
    known = sum(size for size in told if size is not None)
    return known <= index.declared_bytes if None in told else known == index.declared_bytes


def end_of(files: Sequence[BatchFile]) -> tuple[str, str | None] | None:
    """Why a batch whose files all have an end failed (code and reason), or None: one that is completed is enough.

    `no_usable_file` when all were refused for what they are, else what most of them failed of.
    """
    if any(file.state == "completed" for file in files):
        return None
    if all(file.error_code == "invalid_audio" for file in files):
        return "no_usable_file", None
    codes = Counter(file.error_code or "transient_error" for file in files)
    code = codes.most_common(1)[0][0]
    reasons = Counter(file.error_reason for file in files if file.error_code == code)
    return code, reasons.most_common(1)[0][0] if reasons else None


def page_files(page: int, files: int) -> range:
    """The indexes of a page of a batch of so many files."""
    return range(page * PAGE_FILES, min((page + 1) * PAGE_FILES, files))


def pages_of(files: int) -> int:
    """How many pages so many files fill."""
    return -(-files // PAGE_FILES)
