"""Brings the schema up, and says where it stands. Blocking: call it before the service starts, or in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from tiro.adapters.database.connect import parse, sync_engine
from tiro.adapters.database.faults import translated
from tiro.model.errors import Permanent

_LOCK = 7_236_190_454
"""The number of PostgreSQL's advisory lock: whoever migrates second waits, and then finds nothing to do."""


def migrate(url: str) -> str:
    """Bring the schema to the newest revision, in one transaction, and return it. Repeating it changes nothing.

    Safe when several processes do it at once. Raises Permanent `database_newer` when a later version of Tiro was here,
    Transient `database_unavailable`, Invalid `invalid_setting`.
    """
    with _connected(url) as connection:
        _refuse_newer(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return _head()


def current_revision(url: str) -> str | None:
    """The revision of the schema; None when there is none. Raises as `migrate` does."""
    with _connected(url) as connection:
        return _current(connection)


def is_current(url: str) -> bool:
    """Whether `migrate` would change nothing."""
    return current_revision(url) == _head()


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """One transaction, alone with the schema."""
    engine = sync_engine(parse(url))
    with translated(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        yield connection


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection) -> None:
    current = _current(connection)
    if current is None:
        return
    try:
        ScriptDirectory.from_config(_config()).get_revision(current)
    except CommandError:
        raise Permanent(
            "database_newer", "The database was made by a later version of Tiro.", revision=current
        ) from None


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _config() -> Config:
    config = Config()
    # alembic reads % as the start of a variable
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
