"""Recordings fetched ahead of a slot, and those that still may be, are found without reading the line."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_IN_LINE = "state = 'queued' AND NOT admitted AND NOT awaiting AND batch_id IS NULL AND deleted_at IS NULL"
_AHEAD = f"{_IN_LINE} AND fetch_run = run"
_TO_FETCH = f'{_IN_LINE} AND (fetch_run IS NULL OR fetch_run <> run) AND substr(source, 1, 13) = \'{{"type":"url"\''


def upgrade() -> None:
    _index("ix_jobs_ahead", ["account_id"], _AHEAD)
    _index("ix_jobs_to_fetch", ["account_id", "changed_at"], _TO_FETCH)


def _index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
