"""The tables. Columns are named as the fields of the structs they keep."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    text,
)

from tiro.adapters.database.columns import SERIAL, Moment, Packed, Words
from tiro.model.blob import BlobRef
from tiro.model.hook import SealedUrl
from tiro.model.media import MediaLimits
from tiro.model.pace import Beat
from tiro.model.request import JobOptions, Source

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _where(name: str, condition: str, table_columns: tuple[str, ...], *, unique: bool = False) -> Index:
    """An index over only the rows that are asked for."""
    return Index(name, *table_columns, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))


accounts = Table(
    "accounts",
    METADATA,
    Column("account_id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("plan", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("email", Words),
    Column("verified", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("unmetered", Boolean, nullable=False),
    Column("overage", Boolean, nullable=False),
    Column("queueing", Boolean, nullable=False),
    Column("keep_audio", Boolean, nullable=False),
    Column("engines", Packed(tuple[str, ...]), nullable=False),
    Column("rotate_refresh", Boolean, nullable=False, server_default=false()),
    Column("self_topup", Boolean, nullable=False, server_default=false()),
    Column("running", Integer, CheckConstraint("running >= 0", name="running"), nullable=False),
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("key_id", Words, primary_key=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("name", Words, nullable=False),
    Column("sha256", Words, nullable=False, unique=True),
    Column("hint", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
)

webhook_secrets = Table(
    "webhook_secrets",
    METADATA,
    Column("account_id", Words, ForeignKey("accounts.account_id"), primary_key=True),
    Column("active", LargeBinary, nullable=False),
    Column("next", LargeBinary),
    Column("previous", LargeBinary),
    Column("previous_until", Moment),
)

IN_LINE = "state = 'queued' AND NOT admitted AND NOT awaiting AND batch_id IS NULL AND deleted_at IS NULL"
"""Of a job that waits for a slot, word for word as the index has it, or SQLite would not use it. A file of a batch has its place by the
batch's slot.
"""
AHEAD = f"{IN_LINE} AND fetch_run = run"
"""Of a job in line whose recording was ordered ahead of its slot."""
TO_FETCH = f'{IN_LINE} AND (fetch_run IS NULL OR fetch_run <> run) AND substr(source, 1, 13) = \'{{"type":"url"\''
"""Of a job in line with an address that nobody was sent to yet: how its packed source begins."""
jobs = Table(
    "jobs",
    METADATA,
    Column("job_id", Words, primary_key=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False),
    Column("dialect", Words, nullable=False),
    Column("options", Packed(JobOptions), nullable=False),
    Column("source", Packed(Source), nullable=False),
    Column("state", Words, nullable=False),
    Column("run", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("admitted", Boolean, nullable=False),
    Column("claim", Words),
    Column("fetch_run", Integer),
    Column("stage", Words, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("spans_total", Integer),
    Column("spans_done", Integer, nullable=False),
    Column("plan", Words),
    Column("pace", Packed(tuple[Beat, ...]), nullable=False, server_default="[]"),
    Column("decoded_s", Double),
    Column("language", Words),
    Column("engine", Words),
    Column("fallback", Boolean, nullable=False),
    Column("diarizer", Words),
    Column("warnings", Packed(tuple[str, ...]), nullable=False),
    Column("error_code", Words),
    Column("error_reason", Words),
    Column("error_extras", Packed(dict[str, str | int | float | bool | None]), nullable=False),
    Column("transcript", Packed(BlobRef)),
    Column("accept_overage", Boolean, nullable=False),
    Column("billed_s", Integer),
    Column("overage_s", Integer),
    Column("webhook_url", Packed(SealedUrl)),
    Column("purge_after", Moment),
    Column("source_deleted_at", Moment),
    Column("trimmed_at", Moment),
    Column("deleted_at", Moment),
    Column("awaiting", Boolean, nullable=False, server_default=false()),
    Column("priority", Integer, nullable=False, server_default="3"),
    Column("batch_id", Words),
    Column("reference", Words),
    Column("limits", Packed(MediaLimits)),
    Column("files_total", Integer),
    Column("files_done", Integer, nullable=False, server_default="0"),
    Column("files_failed", Integer, nullable=False, server_default="0"),
    Column("micros_per_hour", BigInteger),
    Column("cost_micros", BigInteger),
    Column("balance_micros", BigInteger),
    Column("expires_at", Moment),
    # not a field of the struct: when a deleted job's prefix was last found empty, late writers included
    Column("swept_at", Moment),
    Index(None, "account_id", "changed_at", "job_id"),
    Index(None, "changed_at", "job_id"),
    _where("ix_jobs_waiting", IN_LINE, ("account_id", "changed_at")),
    _where("ix_jobs_ahead", AHEAD, ("account_id",)),
    _where("ix_jobs_to_fetch", TO_FETCH, ("account_id", "changed_at")),
    _where("ix_jobs_processing", "state = 'processing'", ("started_at",)),
    _where("ix_jobs_purgeable", "source_deleted_at IS NULL", ("purge_after",)),
    _where("ix_jobs_expiring", "expires_at IS NOT NULL AND deleted_at IS NULL", ("expires_at",)),
    _where("ix_jobs_batch_id", "batch_id IS NOT NULL", ("batch_id",)),
    _where("ix_jobs_reference", "reference IS NOT NULL", ("account_id", "reference")),
    _where("ix_jobs_unswept", "deleted_at IS NOT NULL AND swept_at IS NULL", ("deleted_at",)),
)

job_spans = Table(
    "job_spans",
    METADATA,
    Column("job_id", Words, ForeignKey("jobs.job_id"), primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("plan", Words, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
)

uploads = Table(
    "uploads",
    METADATA,
    Column("job_id", Words, primary_key=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False),
    Column("began_at", Moment, nullable=False, index=True),
)

orders = Table(
    "orders",
    METADATA,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", Words, nullable=False),
    Column("job_id", Words, nullable=False),
    Column("run", Integer, nullable=False),
    Column("event_id", Words, nullable=False),
    UniqueConstraint("job_id", "run", "kind", "event_id"),
)

failures = Table(
    "failures",
    METADATA,
    Column("job_id", Words, primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("station", Words, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("code", Words, primary_key=True),
    Column("times", Integer, nullable=False),
)

month_balances = Table(
    "month_balances",
    METADATA,
    Column("account_id", Words, ForeignKey("accounts.account_id"), primary_key=True),
    Column("month", Words, primary_key=True),
    Column("used_s", BigInteger, CheckConstraint("used_s >= 0", name="used"), nullable=False),
    Column("held_s", BigInteger, CheckConstraint("held_s >= 0", name="held"), nullable=False),
    Column("overage_used_s", BigInteger, CheckConstraint("overage_used_s >= 0", name="overage_used"), nullable=False),
    Column("overage_held_s", BigInteger, CheckConstraint("overage_held_s >= 0", name="overage_held"), nullable=False),
    Column("overage_micros", BigInteger, CheckConstraint("overage_micros >= 0", name="overage_micros"), nullable=False),
)

ledger_entries = Table(
    "ledger_entries",
    METADATA,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False),
    Column("job_id", Words, nullable=False),
    Column("run", Integer, nullable=False),
    Column("kind", Words, nullable=False),
    Column("month", Words, nullable=False),
    Column("included_s", Integer, CheckConstraint("included_s >= 0", name="included"), nullable=False),
    Column("overage_s", Integer, CheckConstraint("overage_s >= 0", name="overage"), nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    # the price under which a hold took overage, for a capture whose terms no longer know one
    Column("micros_per_minute", BigInteger),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("job_id", "run", "kind"),
    Index(None, "account_id", "month"),
    _where("uq_ledger_entries_closing", "kind IN ('capture', 'release')", ("job_id", "run"), unique=True),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("event_id", Words, primary_key=True),
    Column("job_id", Words, nullable=False, index=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False),
    Column("dialect", Words, nullable=False),
    Column("event", Words, nullable=False),
    Column("url", Packed(SealedUrl), nullable=False),
    Column("scheme", Words, nullable=False),
    Column("body", Packed(BlobRef), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("state", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Words),
    Column("next_attempt_at", Moment),
    Column("delivered_at", Moment),
)

delivery_attempts = Table(
    "delivery_attempts",
    METADATA,
    Column("event_id", Words, ForeignKey("deliveries.event_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("status", Integer),
    Column("error", Words),
    Column("took_ms", Integer, nullable=False),
)

replays = Table(
    "replays",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("fingerprint", Words, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)

limits = Table(
    "limits",
    METADATA,
    Column("name", Words, primary_key=True),
    # when those that still count were taken, in microseconds since 1970
    Column("taken", Packed(tuple[int, ...]), nullable=False),
    Column("until", Moment, nullable=False, index=True),
)

families = Table(
    "families",
    METADATA,
    Column("family_id", Words, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("used", Packed(tuple[datetime, ...]), nullable=False),
    Column("revoked_at", Moment),
    Column("until", Moment, nullable=False, index=True),
)

wallets = Table(
    "wallets",
    METADATA,
    Column("account_id", Words, ForeignKey("accounts.account_id"), primary_key=True),
    Column("balance_micros", BigInteger, CheckConstraint("balance_micros >= 0", name="balance"), nullable=False),
    Column("held_micros", BigInteger, CheckConstraint("held_micros >= 0", name="held"), nullable=False),
    CheckConstraint("held_micros <= balance_micros", name="free"),
)

wallet_entries = Table(
    "wallet_entries",
    METADATA,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("account_id", Words, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("job_id", Words, nullable=False),
    Column("run", Integer, nullable=False),
    Column("kind", Words, nullable=False),
    Column("amount_micros", BigInteger, CheckConstraint("amount_micros >= 0", name="amount"), nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("micros_per_hour", BigInteger, nullable=False),
    Column("note", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("job_id", "run", "kind"),
)

batch_files = Table(
    "batch_files",
    METADATA,
    Column("job_id", Words, ForeignKey("jobs.job_id"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("run", Integer, nullable=False),
    Column("state", Words, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("pack", Words),
    Column("error_code", Words),
    Column("error_reason", Words),
)

signing_keys = Table(
    "signing_keys",
    METADATA,
    Column("key_id", Words, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("state", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("retired_at", Moment),
    _where("uq_signing_keys_current", "state IN ('next', 'active')", ("state",), unique=True),
)
