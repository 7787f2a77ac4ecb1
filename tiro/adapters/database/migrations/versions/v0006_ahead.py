"""A job's row tells for which run its recording was ordered ahead of its slot."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("fetch_run", sa.Integer()))
