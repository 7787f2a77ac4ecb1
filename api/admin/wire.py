"""What the command line and the server say to each other. Both sides use these structs, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

PREFIX = "/_admin"
"""Below it:

GET jobs?account&reference&status&since&cursor&limit -> JobRows
GET jobs/{id} -> JobDetails    DELETE jobs/{id} -> JobRow | 204
POST jobs/{id}/{cancel|retry|pause|resume} -> JobRow     POST jobs/{id}/reprioritize <- Priority -> JobRow
GET keys?account -> KeyRows    POST keys <- KeyWish -> NewKeyRow    DELETE keys/{id} -> 204
GET plans -> PlanRows    GET accounts -> AccountRows    POST accounts <- AccountWish -> AccountRow    GET accounts/{id} -> AccountRow
PATCH accounts/{id} <- AccountChange -> AccountRow       GET accounts/{id}/usage?month -> UsageRow
POST accounts/{id}/credit <- CreditWish -> WalletRow     GET accounts/{id}/ledger?limit -> LedgerRows
GET accounts/{id}/webhook-secret -> Secret    POST accounts/{id}/webhook-secret/{next|activate} -> Secret
POST hooks/{event_id}/replay -> Replayed
GET signing-keys -> SigningKeyRows    POST signing-keys/next -> SigningKeyRow    POST signing-keys/activate <- Activation -> SigningKeyRow
POST audits -> AuditRow    GET audits/{number} -> AuditRow
"""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Every error: status 400, 401, 404, 409, 429, 500 or 503."""

    error: str
    message: str
    extras: dict[str, Any] = {}


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as an operator sees it: no text, no address of its source.

    `awaiting`: its client still brings the bytes. `batch_id`: it is a long file of that batch. `files_...`: of a batch alone.
    """

    job_id: str
    account_id: str
    dialect: str
    reference: str | None
    batch_id: str | None
    state: str
    stage: str
    run: int
    created_at: datetime
    changed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    awaiting: bool
    admitted: bool
    paused: bool
    priority: int
    source: Literal["upload", "url", "awaited", "manifest"]
    size_bytes: int | None
    progress: float
    eta_s: float | None
    speed: float | None
    spans_done: int
    spans_total: int | None
    files_total: int | None
    files_done: int | None
    files_failed: int | None
    decoded_s: float | None
    language: str | None
    engine: str | None
    fallback: bool
    diarizer: str | None
    warnings: tuple[str, ...]
    error_code: str | None
    error_reason: str | None
    error_extras: dict[str, str | int | float | bool | None]
    billed_s: int | None
    overage_s: int | None
    cost_micros: int | None
    purge_after: datetime | None
    source_deleted_at: datetime | None
    expires_at: datetime | None

    @property
    def standing(self) -> str:
        """The stage, in one word for a table."""
        return "uploading" if self.awaiting and self.state == "queued" else self.stage

    @property
    def parts_done(self) -> int | None:
        """Files of a batch, else spans."""
        return self.spans_done if self.files_total is None else self.files_done

    @property
    def parts_total(self) -> int | None:
        """As `parts_done`."""
        return self.spans_total if self.files_total is None else self.files_total


class JobRows(msgspec.Struct, frozen=True):
    """One page; `cursor` None: the last one."""

    jobs: list[JobRow]
    cursor: str | None


class AttemptRow(msgspec.Struct, frozen=True):
    """One try to deliver an event."""

    number: int
    at: datetime
    status: int | None
    error: str | None
    took_ms: int


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook event on its way. `host`: where to; the rest of the address may hold a secret."""

    event_id: str
    event: str
    host: str
    state: str
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    attempts: list[AttemptRow]


class Replayed(msgspec.Struct, frozen=True):
    """How sending an event once more ended; `status` None: no answer."""

    event_id: str
    state: str
    status: int | None


class JobDetails(msgspec.Struct, frozen=True):
    """One job with its deliveries; `live`: what its workflow says of itself, when it answers at once."""

    job: JobRow
    deliveries: list[DeliveryRow]
    live: dict[str, Any] | None


class Priority(msgspec.Struct, frozen=True):
    """1 goes first, 5 last."""

    priority: int


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without anything that would let somebody use it."""

    key_id: str
    account_id: str
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyRows(msgspec.Struct, frozen=True):
    """All keys, or one account's."""

    keys: list[KeyRow]


class KeyWish(msgspec.Struct, frozen=True):
    """A new key for an account."""

    account_id: str
    name: str


class NewKeyRow(msgspec.Struct, frozen=True):
    """The one answer that holds the text of a key."""

    key: KeyRow
    text: str


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its switches. `engines` empty: the whole chain."""

    account_id: str
    name: str
    plan: str
    created_at: datetime
    email: str | None
    verified: bool
    suspended: bool
    unmetered: bool
    overage: bool
    queueing: bool
    keep_audio: bool
    rotate_refresh: bool
    self_topup: bool
    engines: tuple[str, ...]
    running: int


class AccountRows(msgspec.Struct, frozen=True):
    """All accounts, oldest first."""

    accounts: list[AccountRow]


class AccountWish(msgspec.Struct, frozen=True, kw_only=True):
    """A new account. `verified` None: unless there is an address that is still to be."""

    name: str
    plan: str = "free"
    email: str | None = None
    verified: bool | None = None
    unmetered: bool = False


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is given changes; it holds from the next request on."""

    plan: str | None = None
    overage: bool | None = None
    queueing: bool | None = None
    suspended: bool | None = None
    keep_audio: bool | None = None
    rotate_refresh: bool | None = None
    self_topup: bool | None = None
    verified: bool | None = None
    engines: tuple[str, ...] | None = None


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of this server's settings, and how many accounts are on it."""

    name: str
    max_bytes: int
    max_duration_s: int
    max_jobs: int
    minutes_month: int | None
    overage_micros_per_minute: int | None
    weight: float
    max_keys: int
    micros_per_hour: int
    requests_minute: int
    starting_credit_micros: int
    max_awaiting: int
    accounts: int


class PlanRows(msgspec.Struct, frozen=True):
    """All plans, in the order of the settings."""

    plans: list[PlanRow]


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A month of an account, and its wallet as it is now, in micro-dollars. `quota_s` None: unmetered."""

    account_id: str
    month: str
    quota_s: int | None
    used_s: int
    held_s: int
    overage_used_s: int
    overage_held_s: int
    overage_micros: int
    balance_micros: int
    held_micros: int


class CreditWish(msgspec.Struct, frozen=True):
    """Micro-dollars for a wallet, and why."""

    amount_micros: int
    note: str = ""


class WalletRow(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet in micro-dollars; `held_micros` of the balance is set aside for jobs under way."""

    account_id: str
    balance_micros: int
    held_micros: int


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a wallet's ledger. `job_id` of a credit: the name under which it counts once."""

    created_at: datetime
    kind: str
    amount_micros: int
    seconds: int
    micros_per_hour: int
    job_id: str
    run: int
    note: str


class LedgerRows(msgspec.Struct, frozen=True):
    """Oldest first; the newest of them when there are more."""

    entries: list[LedgerRow]


class Secret(msgspec.Struct, frozen=True):
    """A webhook secret in the clear."""

    secret: str


class SigningKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the server's own that is published. `public_key`: 32 bytes in base64. `published_until` None: as long as it is used."""

    key_id: str
    state: str
    created_at: datetime
    published_until: datetime | None
    public_key: str


class SigningKeyRows(msgspec.Struct, frozen=True):
    """All that are published, oldest first."""

    keys: list[SigningKeyRow]


class Activation(msgspec.Struct, frozen=True):
    """`compromised`: at once, and the key before is published no more."""

    compromised: bool = False


class FindingRow(msgspec.Struct, frozen=True):
    """Something that does not agree with the rest."""

    kind: str
    subject: str
    there: str
    should: str


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """An audit: what was compared so far, and once it is `done`, what it found. `unchecked`: what is away, and why."""

    number: int
    done: bool
    compared: dict[str, int]
    findings: list[FindingRow] = []
    unchecked: dict[str, str] = {}
    notes: list[str] = []
