"""Wallets, batches and signing keys; jobs that await their bytes, have files, a price and an end of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("self_topup", sa.Boolean(), nullable=False, server_default=sa.false()))
    # without an address there is nothing to verify
    op.execute("UPDATE accounts SET verified = true WHERE email IS NULL")
    _jobs()
    _wallets()
    op.create_table(
        "batch_files",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("pack", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_reason", sa.Text()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_batch_files_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_batch_files"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("retired_at", _MOMENT),
        sa.PrimaryKeyConstraint("key_id", name="pk_signing_keys"),
    )
    _index("uq_signing_keys_current", "signing_keys", ["state"], "state IN ('next', 'active')", unique=True)


def _jobs() -> None:
    op.add_column("jobs", sa.Column("awaiting", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.add_column("jobs", sa.Column("batch_id", sa.Text()))
    op.add_column("jobs", sa.Column("reference", sa.Text()))
    op.add_column("jobs", sa.Column("limits", sa.Text()))
    op.add_column("jobs", sa.Column("files_total", sa.Integer()))
    op.add_column("jobs", sa.Column("files_done", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("files_failed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("micros_per_hour", sa.BigInteger()))
    op.add_column("jobs", sa.Column("cost_micros", sa.BigInteger()))
    op.add_column("jobs", sa.Column("balance_micros", sa.BigInteger()))
    op.add_column("jobs", sa.Column("expires_at", _MOMENT))
    # what waits for bytes, or for its batch, is not in line for a slot
    op.drop_index("ix_jobs_waiting", "jobs")
    waiting = "state = 'queued' AND NOT admitted AND NOT awaiting AND batch_id IS NULL AND deleted_at IS NULL"
    _index("ix_jobs_waiting", "jobs", ["account_id", "changed_at"], waiting)
    _index("ix_jobs_expiring", "jobs", ["expires_at"], "expires_at IS NOT NULL AND deleted_at IS NULL")
    _index("ix_jobs_batch_id", "jobs", ["batch_id"], "batch_id IS NOT NULL")
    _index("ix_jobs_reference", "jobs", ["account_id", "reference"], "reference IS NOT NULL")


def _wallets() -> None:
    op.create_table(
        "wallets",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("balance_micros", sa.BigInteger(), nullable=False),
        sa.Column("held_micros", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("balance_micros >= 0", name=op.f("ck_wallets_balance")),
        sa.CheckConstraint("held_micros >= 0", name=op.f("ck_wallets_held")),
        sa.CheckConstraint("held_micros <= balance_micros", name=op.f("ck_wallets_free")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_wallets_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_wallets"),
    )
    op.create_table(
        "wallet_entries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("micros_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.CheckConstraint("amount_micros >= 0", name=op.f("ck_wallet_entries_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_wallet_entries_account_id_accounts"),
        sa.PrimaryKeyConstraint("number", name="pk_wallet_entries"),
        sa.UniqueConstraint("job_id", "run", "kind", name="uq_wallet_entries_job_id_run_kind"),
    )
    op.create_index("ix_wallet_entries_account_id", "wallet_entries", ["account_id"])


def _index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
