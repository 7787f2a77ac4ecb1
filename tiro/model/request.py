"""What was asked, in the core's own words, whatever dialect it came in."""

from __future__ import annotations

import msgspec

from tiro.model.blob import BlobRef
from tiro.model.speech import Task


class JobOptions(msgspec.Struct, frozen=True):
    """How a recording is to be transcribed. `language` None: found by a vote. `formats`: files rendered at the end."""

    language: str | None = None
    diarize: bool = True
    task: Task = "transcribe"
    prompt: str | None = None
    vocabulary: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    """Overrides the account's and the server's chain; empty: not overridden."""


class UploadedSource(msgspec.Struct, frozen=True, tag="upload"):
    """The bytes are in the blob store already."""

    blob: BlobRef


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    """An address to fetch from, sealed (`Vault`), since it may carry a signature."""

    sealed_url: bytes


Source = UploadedSource | UrlSource


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One job as a dialect hands it to intake. `job_id` is chosen first, so that an upload already lies below its prefix."""

    job_id: str
    account_id: str
    dialect: str
    options: JobOptions
    source: Source
    webhook_url: str | None = None
    accept_overage: bool = False
    known_duration_s: float | None = None
    """From a probe of the bytes at hand; held at once. None: not known, held after ingest."""
