"""The first schema: accounts, jobs, ledger and deliveries."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text()
_WHOLE = sa.Integer()
_LARGE = sa.BigInteger()
_FLAG = sa.Boolean()
_MOMENT = sa.DateTime(timezone=True)
_BYTES = sa.LargeBinary()
_ACCOUNT = ("account_id", "accounts")


def upgrade() -> None:
    _accounts()
    _jobs()
    _beside_jobs()
    _ledger()
    _deliveries()


def _accounts() -> None:
    op.create_table(
        "accounts",
        *_needed(_TEXT, "account_id", "name", "plan", "engines"),
        *_needed(_FLAG, "verified", "suspended", "unmetered", "overage", "queueing", "keep_audio"),
        *_needed(_WHOLE, "running"),
        *_needed(_MOMENT, "created_at"),
        *_optional(_TEXT, "email"),
        *_never_negative("accounts", running="running"),
        _key("accounts", "account_id"),
    )
    op.create_table(
        "api_keys",
        *_needed(_TEXT, "key_id", "account_id", "name", "sha256", "hint"),
        *_needed(_MOMENT, "created_at"),
        *_optional(_MOMENT, "last_used_at", "revoked_at"),
        _belongs("api_keys", *_ACCOUNT),
        _key("api_keys", "key_id"),
        sa.UniqueConstraint("sha256", name="uq_api_keys_sha256"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    op.create_table(
        "webhook_secrets",
        *_needed(_TEXT, "account_id"),
        *_needed(_BYTES, "active"),
        *_optional(_BYTES, "next", "previous"),
        *_optional(_MOMENT, "previous_until"),
        _belongs("webhook_secrets", *_ACCOUNT),
        _key("webhook_secrets", "account_id"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        *_needed(_TEXT, "job_id", "account_id", "dialect", "options", "source", "state", "stage"),
        *_needed(_TEXT, "warnings", "error_extras"),
        *_needed(_WHOLE, "run", "spans_done"),
        *_needed(_FLAG, "admitted", "paused", "fallback", "accept_overage"),
        *_needed(_MOMENT, "created_at", "changed_at"),
        *_optional(_TEXT, "claim", "plan", "language", "engine", "diarizer"),
        *_optional(_TEXT, "error_code", "error_reason", "transcript", "webhook_url"),
        *_optional(_WHOLE, "spans_total", "billed_s", "overage_s"),
        *_optional(sa.Double(), "decoded_s"),
        *_optional(_MOMENT, "started_at", "ended_at", "purge_after", "source_deleted_at", "deleted_at", "swept_at"),
        _belongs("jobs", *_ACCOUNT),
        _key("jobs", "job_id"),
    )
    op.create_index("ix_jobs_account_id_changed_at_job_id", "jobs", ["account_id", "changed_at", "job_id"])
    op.create_index("ix_jobs_changed_at_job_id", "jobs", ["changed_at", "job_id"])
    waiting = "state = 'queued' AND NOT admitted AND deleted_at IS NULL"
    _index_where("ix_jobs_waiting", "jobs", ["account_id", "changed_at"], waiting)
    _index_where("ix_jobs_processing", "jobs", ["started_at"], "state = 'processing'")
    _index_where("ix_jobs_purgeable", "jobs", ["purge_after"], "source_deleted_at IS NULL")
    _index_where("ix_jobs_unswept", "jobs", ["deleted_at"], "deleted_at IS NOT NULL AND swept_at IS NULL")


def _beside_jobs() -> None:
    op.create_table(
        "job_spans",
        *_needed(_TEXT, "job_id", "plan"),
        *_needed(_WHOLE, "run", "index"),
        _belongs("job_spans", "job_id", "jobs"),
        _key("job_spans", "job_id", "run", "plan", "index"),
    )
    op.create_table(
        "uploads",
        *_needed(_TEXT, "job_id", "account_id"),
        *_needed(_MOMENT, "began_at"),
        _belongs("uploads", *_ACCOUNT),
        _key("uploads", "job_id"),
    )
    op.create_index("ix_uploads_began_at", "uploads", ["began_at"])
    op.create_table(
        "orders",
        _counted(),
        *_needed(_TEXT, "kind", "job_id", "event_id"),
        *_needed(_WHOLE, "run"),
        _key("orders", "number"),
        sa.UniqueConstraint("job_id", "run", "kind", "event_id", name="uq_orders_job_id_run_kind_event_id"),
    )
    op.create_table(
        "failures",
        *_needed(_TEXT, "job_id", "station", "code"),
        *_needed(_WHOLE, "run", "index", "times"),
        _key("failures", "job_id", "run", "station", "index", "code"),
    )


def _ledger() -> None:
    op.create_table(
        "month_balances",
        *_needed(_TEXT, "account_id", "month"),
        *_needed(_LARGE, "used_s", "held_s", "overage_used_s", "overage_held_s", "overage_micros"),
        *_never_negative("month_balances", used="used_s", held="held_s", overage_micros="overage_micros"),
        *_never_negative("month_balances", overage_used="overage_used_s", overage_held="overage_held_s"),
        _belongs("month_balances", *_ACCOUNT),
        _key("month_balances", "account_id", "month"),
    )
    op.create_table(
        "ledger_entries",
        _counted(),
        *_needed(_TEXT, "account_id", "job_id", "kind", "month"),
        *_needed(_WHOLE, "run", "included_s", "overage_s"),
        *_needed(_LARGE, "amount_micros"),
        *_optional(_LARGE, "micros_per_minute"),
        *_needed(_MOMENT, "created_at"),
        *_never_negative("ledger_entries", included="included_s", overage="overage_s"),
        _belongs("ledger_entries", *_ACCOUNT),
        _key("ledger_entries", "number"),
        sa.UniqueConstraint("job_id", "run", "kind", name="uq_ledger_entries_job_id_run_kind"),
    )
    op.create_index("ix_ledger_entries_account_id_month", "ledger_entries", ["account_id", "month"])
    closing = "kind IN ('capture', 'release')"
    _index_where("uq_ledger_entries_closing", "ledger_entries", ["job_id", "run"], closing, unique=True)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        *_needed(_TEXT, "event_id", "job_id", "account_id", "dialect", "event", "url", "scheme", "body", "state"),
        *_needed(_MOMENT, "created_at"),
        *_needed(_WHOLE, "attempts"),
        *_optional(_WHOLE, "last_status"),
        *_optional(_TEXT, "last_error"),
        *_optional(_MOMENT, "next_attempt_at", "delivered_at"),
        _belongs("deliveries", *_ACCOUNT),
        _key("deliveries", "event_id"),
    )
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"])
    op.create_table(
        "delivery_attempts",
        *_needed(_TEXT, "event_id"),
        *_needed(_WHOLE, "number", "took_ms"),
        *_needed(_MOMENT, "at"),
        *_optional(_WHOLE, "status"),
        *_optional(_TEXT, "error"),
        _belongs("delivery_attempts", "event_id", "deliveries"),
        _key("delivery_attempts", "event_id", "number"),
    )


def _needed(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False, autoincrement=False) for name in names]


def _optional(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=True) for name in names]


def _counted() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("number", kind, autoincrement=True, nullable=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _belongs(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.{column}"], name=f"fk_{table}_{column}_{parent}")


def _never_negative(table: str, **columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{column} >= 0", name=op.f(f"ck_{table}_{name}")) for name, column in columns.items()]


def _index_where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
