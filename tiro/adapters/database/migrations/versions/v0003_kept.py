"""Refresh tokens that rotate, and recordings that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("rotate_refresh", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("trimmed_at", sa.DateTime(timezone=True)))
    op.create_table(
        "families",
        sa.Column("family_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("used", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("family_id", name="pk_families"),
    )
    op.create_index("ix_families_until", "families", ["until"])
