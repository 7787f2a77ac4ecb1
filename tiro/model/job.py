"""The job as a record: its five states, where it stands, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from tiro.model.account import Account
from tiro.model.blob import BlobRef
from tiro.model.hook import SealedUrl
from tiro.model.media import MediaLimits
from tiro.model.pace import Beat
from tiro.model.request import JobOptions, Source

JobState = Literal["queued", "processing", "completed", "failed", "cancelled"]
Outcome = Literal["completed", "failed", "cancelled"]
Stage = Literal[
    "queued", "fetching", "preparing", "detecting", "transcribing", "diarizing", "merging", "publishing", "ended"
]

ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One recording on its way. Never holds transcript text. `run` counts from 1; a retry is the next run.

    `admitted`: it holds one of the account's slots. `claim`: which workflow execution owns (job, run). `pace`: the last spans that were
    heard, without those that were found done.
    `fetch_run`: the run whose recording was ordered ahead of its slot.
    `awaiting`: queued, but a client still brings the bytes: nothing is ordered, no slot is asked for.
    `batch_id`: it is a file of that batch, has no slot, no webhook and no price of its own. `files_total` None: it is no batch; of a batch
    `files_done` counts the files that have an end, `files_failed` those of them that failed.
    `reference`: the client's own name for it. `limits` None: the plan's.
    `cost_micros`: micro-dollars that were charged; `balance_micros`: the wallet after that. Both None where no wallet pays.
    `expires_at`: when all that is left of it goes.
    `purge_after`: when the source may go; `trimmed_at`: only the source is left, which its account keeps; `deleted_at`: the tombstone,
    set before anything is removed.
    """

    job_id: str
    account_id: str
    dialect: str
    options: JobOptions
    source: Source
    state: JobState = "queued"
    run: int = 1
    created_at: datetime
    changed_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    admitted: bool = False
    claim: str | None = None
    fetch_run: int | None = None
    stage: Stage = "queued"
    paused: bool = False
    spans_total: int | None = None
    spans_done: int = 0
    plan: str | None = None
    pace: tuple[Beat, ...] = ()
    decoded_s: float | None = None
    language: str | None = None
    engine: str | None = None
    fallback: bool = False
    diarizer: str | None = None
    warnings: tuple[str, ...] = ()
    error_code: str | None = None
    error_reason: str | None = None
    error_extras: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)
    transcript: BlobRef | None = None
    accept_overage: bool = False
    billed_s: int | None = None
    overage_s: int | None = None
    webhook_url: SealedUrl | None = None
    purge_after: datetime | None = None
    source_deleted_at: datetime | None = None
    trimmed_at: datetime | None = None
    deleted_at: datetime | None = None
    awaiting: bool = False
    priority: int = 3
    batch_id: str | None = None
    reference: str | None = None
    limits: MediaLimits | None = None
    files_total: int | None = None
    files_done: int = 0
    files_failed: int = 0
    micros_per_hour: int | None = None
    cost_micros: int | None = None
    balance_micros: int | None = None
    expires_at: datetime | None = None

    @property
    def is_batch(self) -> bool:
        """Many files under one id."""
        return self.files_total is not None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to this run."""
        return self.state in ENDED

    def is_kept(self, now: datetime) -> bool:
        """Whether its owner still knows of it: it was not deleted, and its time is not up."""
        return self.deleted_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def progress(self) -> float:
        """0..1, by spans, of a batch by files; 1 only when completed."""
        if self.state == "completed":
            return 1.0
        if self.files_total:
            return min(0.99, self.files_done / self.files_total)
        if not self.spans_total:
            return 0.0
        return min(0.99, self.spans_done / self.spans_total)


def keeps_source(job: Job, account: Account | None) -> bool:
    """Whether its recording outlives the day: the account says so, and the job was neither cancelled nor deleted."""
    kept = job.state in {"completed", "failed"} and job.deleted_at is None
    return kept and account is not None and account.keep_audio


class JobPatch(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a running job to change; what is UNSET stays."""

    stage: Stage | msgspec.UnsetType = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    spans_total: int | None | msgspec.UnsetType = msgspec.UNSET
    plan: str | None | msgspec.UnsetType = msgspec.UNSET
    decoded_s: float | None | msgspec.UnsetType = msgspec.UNSET
    language: str | None | msgspec.UnsetType = msgspec.UNSET
    engine: str | None | msgspec.UnsetType = msgspec.UNSET
    fallback: bool | msgspec.UnsetType = msgspec.UNSET
    diarizer: str | None | msgspec.UnsetType = msgspec.UNSET
    warnings: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    source: Source | msgspec.UnsetType = msgspec.UNSET
    transcript: BlobRef | None | msgspec.UnsetType = msgspec.UNSET


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: what settle writes, once."""

    outcome: Outcome
    error_code: str | None = None
    error_reason: str | None = None
    error_extras: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)
    billed_s: int | None = None
    overage_s: int | None = None
    cost_micros: int | None = None
    balance_micros: int | None = None
    expires_at: datetime | None = None


class Order(msgspec.Struct, frozen=True):
    """Something Temporal must be told: start this run, fetch ahead of it, deliver this event. Removed when it is known to have begun."""

    kind: Literal["transcription", "batch", "delivery", "cancel", "fetch"]
    job_id: str
    run: int
    event_id: str = ""
