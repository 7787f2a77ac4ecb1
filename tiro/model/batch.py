"""Many files under one job: the manifest that was handed in, and what became of each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
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
    """Of a batch: files completed and failed in all, and the billable seconds of all that are completed; of one run: billable seconds
    that are prepared or completed, and completed."""

    completed: int
    failed: int
    prepared_s: int
    completed_s: int
    billed_s: int = 0


class Found(msgspec.Struct, frozen=True):
    """What the store holds of a batch that is to begin: bytes of recordings by the index of their file."""

    sizes: dict[int, int]

    @property
    def total_bytes(self) -> int:
        """Of all recordings that are there, brought or fetched before."""
        return sum(self.sizes.values())


def fault_of(
    index: ManifestIndex, entries: Sequence[ManifestEntry], found: Found, completed: Container[int]
) -> str | None:
    """Why this batch cannot begin, or None. Of files that are completed nothing is asked any more."""
    if index.declared_files not in {None, index.files}:
        return "file_count_mismatch"
    brought = [entry for entry in entries if entry.sealed_url is None and entry.index not in completed]
    if any(entry.index not in found.sizes for entry in brought):
        return "file_missing"
    if any(entry.size_bytes not in {None, found.sizes[entry.index]} for entry in brought):
        return "file_size_mismatch"
    if not _adds_up(index, entries, found, completed):
        return "total_size_mismatch"
    return "batch_too_large" if found.total_bytes > MAX_BYTES else None


def _adds_up(index: ManifestIndex, entries: Sequence[ManifestEntry], found: Found, completed: Container[int]) -> bool:
    """Whether the whole has the size that was declared, as far as the sizes of what is still to be fetched are known."""
    if index.declared_bytes is None or any(entry.index in completed for entry in entries):
        return True
    sizes = [entry.size_bytes if entry.sealed_url is not None else found.sizes[entry.index] for entry in entries]
    known = sum(size for size in sizes if size is not None)
    return known <= index.declared_bytes if None in sizes else known == index.declared_bytes


def end_of(files: Sequence[BatchFile]) -> str | None:
    """Why a batch whose files all have an end failed, or None: one that is completed is enough.

    `no_usable_file` when all were refused for what they are, else what most of them failed of.
    """
    if any(file.state == "completed" for file in files):
        return None
    codes = Counter(file.error_code or "transient_error" for file in files)
    code = codes.most_common(1)[0][0] if codes else "transient_error"
    return "no_usable_file" if code == "invalid_audio" and len(codes) == 1 else code


def pages_of(files: int) -> int:
    """How many pages so many files fill."""
    return -(-files // PAGE_FILES)
