"""Addresses of webhooks lie sealed. What stood there in plain cannot be sealed here, without the key, and is forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FORGOTTEN = '{"sealed":"","host":""}'
"""Nothing that opens: an event under way ends by its schedule."""


def upgrade() -> None:
    jobs, deliveries = sa.table("jobs", sa.column("webhook_url")), sa.table("deliveries", sa.column("url"))
    op.execute(sa.update(jobs).where(jobs.c.webhook_url.is_not(None)).values(webhook_url=_FORGOTTEN))
    op.execute(sa.update(deliveries).values(url=_FORGOTTEN))
