"""What the core needs from the world. Each Protocol has one contract suite that every adapter passes, fakes included.

Two colours: what waits on a database or on Temporal is `async`; what blocks on a disk, a socket or a decoder is plain and is
called from a thread. A blocking call that lasts takes `stop`, an event that is set when its result is no longer wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tiro.model.account import Account, ApiKey
from tiro.model.blob import BlobInfo, BlobRef
from tiro.model.hook import Attempt, Delivery, DeliveryState, DeliveryTask, WebhookSecrets
from tiro.model.job import Ending, Job, JobPatch, JobState, Order
from tiro.model.ledger import Charge, Entry, HoldTerms, Usage
from tiro.model.media import Layout, MediaLimits, MediaProbe, Span
from tiro.model.speech import Diarization, EngineOptions, Heard, Task

Samples = NDArray[np.float32]
"""Mono audio at `SAMPLE_RATE_HZ`, -1..1."""


class Clock(Protocol):
    """Time comes in from outside."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back."""
        ...


class Ids(Protocol):
    """Names come in from outside."""

    def new(self, prefix: str) -> str:
        """`<prefix>_<ULID>`."""
        ...

    def secret(self, size_bytes: int = 32) -> bytes:
        """Random bytes fit for a secret."""
        ...


class Vault(Protocol):
    """Keeps at rest what cannot be hashed: source addresses, webhook secrets."""

    def seal(self, plain: bytes) -> bytes:
        """Encrypted and authenticated."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """The plain bytes; Permanent `unsealable` when the key is another or the bytes were changed."""
        ...


# --- content -----------------------------------------------------------------------------------------------------------


class BlobWriter(Protocol):
    """An object on its way in. Nothing is visible before `commit`; `abort` (or a dead process) leaves no object."""

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes. Raises Transient `store_unavailable` or `store_full`."""
        ...

    def commit(self) -> BlobRef:
        """Make the object visible, durably, replacing one of the same key."""
        ...

    def abort(self) -> None:
        """Forget the bytes. Harmless after `commit` and when repeated."""
        ...


class Blobs(Protocol):
    """The store of all content. Keys are ours, slash-separated, never a user's words. Blocking."""

    def writer(self, key: str, media_type: str = "application/octet-stream") -> BlobWriter:
        """Begin an object."""
        ...

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """A small object at once, replacing one of the same key."""
        ...

    def put_if_absent(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> bool:
        """Write unless the key exists; True when these bytes were written."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object; Permanent `blob_missing` when there is none."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream of bytes [start, end); Permanent `blob_missing` when there is none."""
        ...

    def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None."""
        ...

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Objects whose key begins with `prefix`, in key order."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below `prefix`, and open uploads there; how many were removed."""
        ...

    def abort_stale(self, older_than: datetime) -> int:
        """Remove unfinished objects begun before that moment; how many."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the object lies as a readable file, when the store is a folder; else None."""
        ...


# --- media ---------------------------------------------------------------------------------------------------------------


class PreparedSpan(msgspec.Struct, frozen=True):
    """A span that is final, with its audio."""

    span: Span
    samples: Samples


class PreparedEnd(msgspec.Struct, frozen=True):
    """The recording has ended: what was decoded in all."""

    decoded_s: float
    layout: Layout
    damaged_packets: int
    warnings: tuple[str, ...]


class Preparer(Protocol):
    """Decodes a recording once, streaming, finds speech and cuts spans. Strangers' bytes are read in a child process. Blocking."""

    @property
    def version(self) -> str:
        """Changes whenever the same recording might be cut otherwise (decoder, VAD, cutter and their settings)."""
        ...

    def probe(self, source: Path, limits: MediaLimits, stop: threading.Event) -> MediaProbe:
        """Container, codec and claims. Raises MediaRefused, Transient `decoder_unavailable`."""
        ...

    def prepare(
        self, source: Path, limits: MediaLimits, split_channels: bool, stop: threading.Event
    ) -> Iterator[MediaProbe | PreparedSpan | PreparedEnd]:
        """One MediaProbe, then spans as they become final, then one PreparedEnd. Memory is bounded by the span.

        Raises MediaRefused (also when the decoded seconds pass the limit). Closing the iterator, or `stop`, ends the child.
        """
        ...

    def encode(self, samples: Samples) -> bytes:
        """FLAC, 16 kHz mono. The same samples give the same bytes."""
        ...

    def read(self, flac: bytes) -> Samples:
        """What `encode` wrote."""
        ...


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch left in the store."""

    blob: BlobRef
    fetcher: str


class Fetcher(Protocol):
    """Brings the recording behind an address into a writer, through the egress guard. Blocking."""

    def fetch(self, url: str, limits: MediaLimits, writer: Callable[[], BlobWriter], stop: threading.Event) -> Fetched:
        """Raises SourceRefused, TooLarge, Transient `source_timeout` and the like. A failed fetch leaves no object."""
        ...

    def check(self, url: str) -> None:
        """What can be said without a connection: scheme, credentials, a literal or resolvable forbidden address. SourceRefused or nothing."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """What a webhook's receiver said. `status` None: nothing; `error` is then a code."""

    status: int | None
    error: str | None
    took_ms: int


class Courier(Protocol):
    """Posts webhook bodies through the egress guard; never follows a redirect, reads at most a few KiB of the answer."""

    def check(self, url: str) -> None:
        """Whether the address may be called at all: https (or allow-listed), public, no credentials, <= 2,048 characters. SourceRefused."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """One attempt; never raises for what the receiver or the network does."""
        ...


# --- speech --------------------------------------------------------------------------------------------------------------


class Urgency(msgspec.Struct, frozen=True):
    """How soon a job's windows are taken, and whose they are (for cancelling those that wait)."""

    job_id: str
    priority: int = 3


class Engine(Protocol):
    """Hears words in windows of audio. One instance serves many jobs at once; where it can, windows of different jobs share a batch.

    `id` names it in the chain (`faster_whisper`); `model` is what transcripts claim (`whisper_large_v3`);
    `max_window_s` is the longest window it takes; `windows_in_flight` is how many it works on at once.
    """

    id: str
    model: str
    max_window_s: float
    windows_in_flight: int

    def supports(self, language: str | None, task: Task) -> bool:
        """Whether it can do this; language None asks whether it can find the language by itself."""
        ...

    async def start(self) -> None:
        """Get ready (model hosts, models). Raises Permanent `engine_unavailable` with a message that says how to get it."""
        ...

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        """One answer per window, in order, times from the window's start.

        Raises Transient (network, 5xx, `engine_crash` the first time), QuotaExceeded, Permanent. Cancelling the call drops its windows that
        wait; a running batch is finished and dropped.
        """
        ...

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        """Language code -> probability, per window."""
        ...

    async def stop(self) -> None:
        """End hosts and connections. Harmless when repeated."""
        ...


class SpanAudio(Protocol):
    """The audio of one span, read when asked."""

    span: Span

    def samples(self) -> Samples:
        """Load it."""
        ...


class Diarizer(Protocol):
    """Says who spoke when in one track of mixed voices. Blocking; heavy ones work in a child process."""

    id: str

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Exclusive, ordered turns over the whole recording; speakers numbered by first appearance. Raises Transient, Permanent."""
        ...

    def close(self) -> None:
        """End children. Harmless when repeated."""
        ...


# --- records -------------------------------------------------------------------------------------------------------------


class Accounts(Protocol):
    """Accounts, keys and webhook secrets."""

    async def add(self, account: Account) -> None: ...
    async def get(self, account_id: str) -> Account | None: ...
    async def list(self) -> list[Account]: ...
    async def save(self, account: Account) -> None:
        """Everything but `running`, which only admission and `finish` change."""
        ...

    async def add_key(self, key: ApiKey) -> None: ...
    async def key_by_sha256(self, sha256: str) -> ApiKey | None: ...
    async def key(self, key_id: str) -> ApiKey | None: ...
    async def keys(self, account_id: str | None = None) -> list[ApiKey]: ...
    async def touch_key(self, key_id: str, at: datetime) -> None: ...
    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        """False when there is none or it was revoked before."""
        ...

    async def webhook_secrets(self, account_id: str) -> WebhookSecrets | None: ...
    async def save_webhook_secrets(self, account_id: str, secrets: WebhookSecrets) -> None: ...


class Jobs(Protocol):
    """Job rows and the orders that Temporal must be given. Every change of state is conditional on the state before."""

    async def add(self, job: Job) -> None:
        """A new row, `queued`."""
        ...

    async def get(self, job_id: str, account_id: str | None = None) -> Job | None:
        """None when there is none, or it is another account's, or (with `account_id`) it is deleted."""
        ...

    async def list(
        self,
        account_id: str | None,
        *,
        dialect: str | None = None,
        state: JobState | None = None,
        changed_since: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest change first (`changed_at`, then id), deleted ones left out; `after` is the last seen (changed_at, job_id)."""
        ...

    async def count_open(self, account_id: str) -> int:
        """Queued and processing."""
        ...

    async def admit(self, now: datetime, caps: Mapping[str, int], limit: int = 100) -> list[Order]:
        """Give free slots to queued jobs, oldest first per account, while `running < caps[plan]`; one transaction writes slot and order."""
        ...

    async def orders(self, limit: int = 100) -> list[Order]:
        """What Temporal has not been told yet, oldest first."""
        ...

    async def add_order(self, order: Order) -> None:
        """Write an order; the same one twice is one."""
        ...

    async def drop_order(self, order: Order) -> None:
        """It is known to have begun."""
        ...

    async def claim(self, job_id: str, run: int, claim: str, now: datetime) -> Job | None:
        """queued -> processing for this run, removing its order; the same claim again gets the job again; otherwise None."""
        ...

    async def patch(self, job_id: str, run: int, patch: JobPatch, now: datetime) -> bool:
        """Change a job that runs (state processing, this run); False when it no longer does. `changed_at` stays: it is the state's."""
        ...

    async def span_done(self, job_id: str, run: int, plan: str, index: int) -> int | None:
        """Count a span once, however often it is reported; the number done so far, None when this run is over."""
        ...

    async def finish(self, job_id: str, run: int, ending: Ending, now: datetime, purge_after: datetime) -> Job | None:
        """Into an ended state once, from queued or processing, giving the slot back and dropping its start order; None when it had ended."""
        ...

    async def begin_upload(self, job_id: str, account_id: str, now: datetime) -> None:
        """Bytes are about to arrive below this job's prefix; `add` of the job ends it."""
        ...

    async def drop_upload(self, job_id: str) -> None:
        """The upload was given up and its bytes are gone."""
        ...

    async def stale_uploads(self, before: datetime, limit: int = 100) -> list[str]:
        """Ids of jobs whose upload began before that moment and never became a job."""
        ...

    async def retry(self, job_id: str, now: datetime) -> Job | None:
        """failed or cancelled -> queued as the next run, errors and billing cleared; None when its state does not allow it."""
        ...

    async def mark_deleted(self, job_id: str, now: datetime) -> None:
        """The tombstone. Kept when set before."""
        ...

    async def is_deleted(self, job_id: str) -> bool:
        """Whether the tombstone stands (or the row is gone)."""
        ...

    async def purgeable(self, now: datetime, limit: int = 100) -> list[Job]:
        """Ended jobs whose `purge_after` has passed and whose source is not yet marked deleted, and deleted jobs not yet swept."""
        ...

    async def mark_source_deleted(self, job_id: str, now: datetime) -> None:
        """The listing of its source and spans came back empty."""
        ...

    async def count_failure(self, job_id: str, run: int, station: str, index: int, code: str) -> int:
        """Raise and return how often this station of this run failed with this code."""
        ...

    async def running_since(self, before: datetime, limit: int = 100) -> list[Job]:
        """Processing jobs that started before that moment (for reconciling with Temporal)."""
        ...


class Ledger(Protocol):
    """Minutes and overage. A balance is guarded by one conditional update; every call may be repeated."""

    async def hold(self, account_id: str, job_id: str, run: int, seconds: int, month: str, terms: HoldTerms, now: datetime) -> Entry:
        """Hold seconds (or return the hold that stands). Raises QuotaExceeded with `minutes_remaining`, `minutes_required`."""
        ...

    async def extend(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Entry:
        """Bring the hold to `seconds` in all (never less), in the hold's month. Raises QuotaExceeded."""
        ...

    async def capture(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Charge:
        """Charge at most what is held, once, and release the rest; repeated: the same charge. No hold: a charge of 0."""
        ...

    async def release(self, job_id: str, run: int, now: datetime) -> None:
        """Give the hold back; nothing happens without an open hold."""
        ...

    async def usage(self, account_id: str, month: str) -> Usage: ...
    async def entries(self, account_id: str, month: str | None = None) -> list[Entry]: ...


class Hooks(Protocol):
    """Deliveries and their attempts."""

    async def add(self, delivery: Delivery) -> None:
        """The same event twice is one."""
        ...

    async def get(self, event_id: str) -> Delivery | None: ...
    async def of_job(self, job_id: str) -> list[Delivery]: ...
    async def record(
        self, attempt: Attempt, state: DeliveryState, next_attempt_at: datetime | None
    ) -> Delivery | None:
        """Write an attempt (numbered; the same number twice is one) and the delivery's state; None when there is none."""
        ...

    async def set_state(self, event_id: str, state: DeliveryState) -> None: ...
    async def attempts(self, event_id: str) -> list[Attempt]: ...


class Transaction(Protocol):
    """One unit of work: everything done through it is committed together or not at all."""

    accounts: Accounts
    jobs: Jobs
    ledger: Ledger
    hooks: Hooks


class Records(Protocol):
    """The database."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits when left normally, rolls back on any exception. Raises Transient `database_unavailable`."""
        ...

    async def now(self) -> datetime:
        """The database's own clock (for measuring skew)."""
        ...

    async def close(self) -> None: ...


# --- flow ----------------------------------------------------------------------------------------------------------------


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What Temporal is told when a run starts. Ids and numbers only."""

    job_id: str
    run: int
    account_id: str
    dialect: str
    weight: float
    priority: int = 3
    flags: tuple[str, ...] = ()
    summary: str = ""


class Orchestrator(Protocol):
    """Starts and steers workflows by name. Every call gives up after a short time with Transient `temporal_unavailable`."""

    async def start_transcription(self, launch: Launch) -> None:
        """Start `job/<job id>/<run>`; one that exists counts as started."""
        ...

    async def start_delivery(self, delivery: Delivery, task: DeliveryTask) -> None:
        """Start `deliver/<event id>`; one that exists counts as started."""
        ...

    async def cancel(self, job_id: str, run: int) -> None:
        """Native cancel; one that is gone counts as cancelled."""
        ...

    async def steer(self, job_id: str, run: int, update: str, *args: Any) -> None:
        """An update: `pause`, `resume`, `reprioritize`. Conflict `job_ended` when the workflow is gone."""
        ...

    async def announce_span(self, job_id: str, run: int, index: int) -> None:
        """Tell a running workflow that a span is final; one that is gone needs it no more."""
        ...

    async def progress(self, job_id: str, run: int) -> dict[str, Any] | None:
        """The workflow's own answer, or None when it does not come at once."""
        ...

    async def is_running(self, job_id: str, run: int) -> bool:
        """By `describe`: False when it is closed or unknown."""
        ...
