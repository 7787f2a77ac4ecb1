"""What was asked, in the core's own words, whatever dialect it came in."""

from __future__ import annotations

from typing import Literal

import msgspec

from tiro.model.blob import BlobRef
from tiro.model.media import MediaLimits
from tiro.model.speech import Task

CueSize = Literal["sentence", "word"]


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
    vad: bool = True
    """Only speech is heard. False: every second, and what an engine makes up in silence is dropped all the same."""
    cues: CueSize = "sentence"
    """How much of the text a subtitle of the result document shows at once."""
    omit: tuple[str, ...] = ()
    """Parts of the result document that are left out, as its dialect names them."""
    moving_pictures: bool = True
    """False: an MP4 or MOV whose video is more than an attached picture is refused."""


def narrowed(limits: MediaLimits, options: JobOptions) -> MediaLimits:
    """The limits of a recording that is to be transcribed so."""
    moving = limits.moving_pictures and options.moving_pictures
    return msgspec.structs.replace(limits, moving_pictures=moving)


class UploadedSource(msgspec.Struct, frozen=True, tag="upload"):
    """The bytes are in the blob store already."""

    blob: BlobRef


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    """An address to fetch from, sealed (`Vault`), since it may carry a signature."""

    sealed_url: bytes


class AwaitedSource(msgspec.Struct, frozen=True, tag="awaited"):
    """Bytes that a client is to bring to the source's key by itself. `size_bytes`, `media_type` None: not declared."""

    size_bytes: int | None = None
    media_type: str | None = None


class ManifestSource(msgspec.Struct, frozen=True, tag="manifest"):
    """Many files: `blob` is the manifest's index, as it was written at intake. `uploads` of the files are brought by the client."""

    blob: BlobRef
    files: int
    uploads: int = 0


Source = UploadedSource | UrlSource | AwaitedSource | ManifestSource


def awaits(source: Source) -> bool:
    """Whether, as it was handed in, a client is still to bring bytes of it by itself."""
    return isinstance(source, AwaitedSource) or (isinstance(source, ManifestSource) and source.uploads > 0)


def is_brought(source: Source) -> bool:
    """Whether a client brought, or was to bring, bytes of it by itself: it had addresses to write to."""
    return awaits(source) or (isinstance(source, UploadedSource) and source.blob.sha256 is None)


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One job as a dialect hands it to intake. `job_id` is chosen first, so that an upload already lies below its prefix."""

    job_id: str
    account_id: str
    dialect: str
    options: JobOptions
    source: Source
    webhook_url: str | None = None
    accept_overage: bool = False
    brought: bool = True
    """Whether an upload may have been begun for it; what came as JSON alone never had one."""
    known_duration_s: float | None = None
    """From a probe of the bytes at hand; held at once. None: not known, held after ingest."""
    priority: int = 3
    """1 somebody waits for the answer, 3 any job, 4 files of a batch."""
    reference: str | None = None
    """The client's own name for it."""
    limits: MediaLimits | None = None
    """Instead of the plan's."""
