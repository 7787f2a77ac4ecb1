"""Alembic's entrance: runs the steps on the connection that `migrate` opened, inside its transaction."""

from alembic import context

from tiro.adapters.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
