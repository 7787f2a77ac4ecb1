"""An address -> an engine: which driver, how many connections, and how a transaction begins."""

from __future__ import annotations

import asyncio
import select
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from tiro.model.errors import Invalid

LOOKING = "tiro_looking"
_BUSY_MS = 10_000
_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)
_POSTGRES_ARGS: dict[str, Any] = {
    "connect_timeout": 5,
    # a peer that vanished is noticed within half a minute, not after two hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "tiro",
}
_CONNECTIONS = 20
_OPTIONS: dict[str, Any] = {
    # values hold sealed addresses and secrets: never in an error text
    "hide_parameters": True,
}


def looking(engine: AsyncEngine) -> AsyncEngine:
    """The same connections for statements that each stand alone: nothing is begun before them, and nothing is to be committed."""
    if is_sqlite(engine.url):
        return engine.execution_options(**{LOOKING: True})
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def parse(url: str) -> URL:
    """`sqlite:///file` or `postgresql://...`. Raises Invalid `invalid_setting` for anything else."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise _wrong("is not the address of a database") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite")
        case "sqlite":
            raise _wrong("must name a file: sqlite:////folder/tiro.db")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise _wrong("must begin with sqlite:/// or postgresql://")


def is_sqlite(url: URL) -> bool:
    """Whether one process has this database for itself."""
    return url.get_backend_name() == "sqlite"


def async_engine(url: URL) -> AsyncEngine:
    """For the running service; nothing is connected yet. It belongs to one event loop.

    SQLite gets ONE connection: it has one writer anyway, and so transactions wait in line instead of polling for a lock.
    """
    try:
        if is_sqlite(url):
            engine = create_async_engine(
                url.set(drivername="sqlite+aiosqlite"),
                connect_args={"isolation_level": None},
                poolclass=AsyncAdaptedQueuePool,
                pool_size=1,
                max_overflow=0,
                pool_timeout=30,
                **_OPTIONS,
            )
            _prepare_sqlite(engine.sync_engine)
            _roll_back_what_is_cancelled(engine.sync_engine)
            return engine
        # all of them kept: one beyond the pool's size would be opened for one transaction, which costs more than the transaction
        engine = create_async_engine(
            url, connect_args=_POSTGRES_ARGS, pool_size=_CONNECTIONS, max_overflow=0, pool_timeout=10, **_OPTIONS
        )
        _replace_what_was_ended(engine.sync_engine)
        return engine
    except ModuleNotFoundError:
        raise _driver_missing() from None


def sync_engine(url: URL) -> Engine:
    """For one errand (a migration, a look at the revision): one connection, closed after it."""
    try:
        if is_sqlite(url):
            engine = create_engine(url, connect_args={"isolation_level": None}, poolclass=NullPool, **_OPTIONS)
            _prepare_sqlite(engine)
            return engine
        return create_engine(url, connect_args=_POSTGRES_ARGS, poolclass=NullPool, **_OPTIONS)
    except ModuleNotFoundError:
        raise _driver_missing() from None


def _prepare_sqlite(engine: Engine) -> None:
    """Pragmas on connect; every transaction takes the write lock at once (a lock taken late cannot wait, only fail)."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(LOOKING):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _replace_what_was_ended(engine: Engine) -> None:
    """A server that went away has said so: what lies unread on an idle connection is its end. That is seen without asking anybody."""

    @event.listens_for(engine, "checkout")
    def check(connection: Any, _record: Any, _proxy: Any) -> None:
        poll = select.poll()
        poll.register(connection.driver_connection.fileno(), select.POLLIN)
        if poll.poll(0):
            raise exc.InvalidatePoolError("The server has ended this connection.")


def _roll_back_what_is_cancelled(engine: Engine) -> None:
    """A cancelled statement costs its connection, and SQLite keeps the lock of a closed connection while a cursor of it lives."""

    @event.listens_for(engine, "invalidate")
    def roll_back(connection: Any, _record: Any, _error: BaseException | None) -> None:
        # not awaited, since the awaiting is what was cancelled; the driver's queue puts it before the closing
        undone = asyncio.get_running_loop().create_task(connection.driver_connection.rollback())
        undone.add_done_callback(lambda task: task.cancelled() or task.exception())


def _wrong(what: str) -> Invalid:
    return Invalid("invalid_setting", f"TIRO_DATABASE_URL {what}.", param="TIRO_DATABASE_URL")


def _driver_missing() -> Invalid:
    return Invalid(
        "invalid_setting",
        "PostgreSQL needs its driver: .venv/bin/pip install 'tiro[postgres]'.",
        param="TIRO_DATABASE_URL",
    )
