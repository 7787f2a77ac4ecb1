"""Where content lies: references into the blob store and the one place that names its keys."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

MADE = ("spans/", "parts/", "turns/", "packs/")
"""What of a job, below its prefix, was made on the way: of no use without its source."""
MEDIA = ("source", "files/", *MADE)
"""What was sent in, and what can be heard in it."""
CONTENT = (*MEDIA, "transcript.json", "results/", "heard/", "pages/", "manifest/")
"""All that was sent in and made of it; the bodies of its events are none of it."""
_FILE_SOURCE = re.compile(r"jobs/[^/]+/files/(\d{5})/source")
_PAGE_DOCUMENT = re.compile(r"jobs/[^/]+/pages/(\d{4})\.json")


class BlobRef(msgspec.Struct, frozen=True):
    """A stored object: `key` in the store, its size and the sha256 (hex) of its bytes. Travels instead of content.

    `sha256` None: a client brought it to the store by itself, and we have not read it.
    """

    key: str
    size_bytes: int
    sha256: str | None
    media_type: str = "application/octet-stream"


class BlobInfo(msgspec.Struct, frozen=True):
    """What a listing knows of an object."""

    key: str
    size_bytes: int
    modified_at: datetime


def file_id(batch_id: str, index: int) -> str:
    """A file of a batch, named as if it were a job: `<batch>.00007`."""
    return f"{batch_id}.{index:05d}"


def file_index(job_id: str) -> int:
    """Which file of its batch is called so."""
    return int(job_id.rpartition(".")[2])


def files_prefix(batch_id: str) -> str:
    """The files of a batch: their recordings, and all that is made of those that are jobs of their own."""
    return f"{job_prefix(batch_id)}files/"


def source_number(key: str) -> int | None:
    """Which file of its batch this is the recording of; None: this key is another's."""
    found = _FILE_SOURCE.fullmatch(key)
    return int(found[1]) if found else None


def job_of(key: str) -> str:
    """The job (a batch, for a file of it) that a key belongs to; "" for a key of none."""
    room, _, rest = key.partition("/")
    return rest.partition("/")[0] if room == "jobs" else ""


def job_prefix(job_id: str) -> str:
    """Everything of a job lies below this prefix: deleting a job is emptying it. A file of a batch lies below its batch."""
    batch, dot, number = job_id.partition(".")
    return f"{files_prefix(batch)}{number}/" if dot else f"jobs/{job_id}/"


def source_key(job_id: str) -> str:
    """The recording as it came in."""
    return f"{job_prefix(job_id)}source"


def plan_prefix(job_id: str, plan: str) -> str:
    """The prepared spans of one way of cutting (`plan` is its hash)."""
    return f"{job_prefix(job_id)}spans/{plan}/"


def plan_key(job_id: str, plan: str) -> str:
    """The record of all spans, written once when the cutting has ended."""
    return f"{plan_prefix(job_id, plan)}plan.json"


def span_audio_key(job_id: str, plan: str, index: int) -> str:
    """FLAC, 16 kHz mono, of one span."""
    return f"{plan_prefix(job_id, plan)}{index:04d}.flac"


def span_record_key(job_id: str, plan: str, index: int) -> str:
    """The `Span` of that audio; the span is final when this exists."""
    return f"{plan_prefix(job_id, plan)}{index:04d}.json"


def part_key(job_id: str, plan: str, engine: str, index: int) -> str:
    """What one engine heard in one span: a `Part`."""
    return f"{job_prefix(job_id)}parts/{plan}/{engine}/{index:04d}.json"


def turns_key(job_id: str, plan: str, diarizer: str) -> str:
    """Who spoke when: a `Diarization`."""
    return f"{job_prefix(job_id)}turns/{plan}/{diarizer}.json"


def transcript_key(job_id: str) -> str:
    """The merged `Transcript`."""
    return f"{job_prefix(job_id)}transcript.json"


def result_key(job_id: str, format_name: str) -> str:
    """A rendered file of the transcript."""
    return f"{job_prefix(job_id)}results/transcript.{format_name}"


def event_key(job_id: str, event_id: str) -> str:
    """The body of a webhook event, the same bytes on every attempt."""
    return f"{job_prefix(job_id)}events/{event_id}.json"


def manifest_key(job_id: str) -> str:
    """The index of a batch's manifest: its pages, each with its checksum."""
    return f"{job_prefix(job_id)}manifest/index.json"


def manifest_page_key(job_id: str, page: int) -> str:
    """The entries of one page."""
    return f"{job_prefix(job_id)}manifest/{page:04d}.json"


def pack_audio_key(job_id: str, name: str) -> str:
    """The prepared spans of several short files of a batch."""
    return f"{job_prefix(job_id)}packs/{name}"


def pack_result_key(job_id: str, name: str) -> str:
    """The transcripts of several short files of a batch."""
    return f"{job_prefix(job_id)}heard/{name}.json"


def pages_prefix(job_id: str) -> str:
    """The pages of the result document of a batch."""
    return f"{job_prefix(job_id)}pages/"


def page_document_key(job_id: str, page: int) -> str:
    """One page of the result document of a batch, as its dialect writes it."""
    return f"{pages_prefix(job_id)}{page:04d}.json"


def page_number(key: str) -> int | None:
    """Which page of a document lies there; None: this key is another's."""
    found = _PAGE_DOCUMENT.fullmatch(key)
    return int(found[1]) if found else None


def document_key(job_id: str) -> str:
    """The result document of a batch."""
    return f"{job_prefix(job_id)}results/document.json"
