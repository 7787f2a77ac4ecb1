"""The `Records` port: an engine, and one transaction at a time with its ports inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tiro.adapters.database.accounts import SqlAccounts
from tiro.adapters.database.batches import SqlBatches
from tiro.adapters.database.books import SqlBooks
from tiro.adapters.database.connect import async_engine, is_sqlite, looking, parse
from tiro.adapters.database.families import SqlFamilies
from tiro.adapters.database.faults import translated
from tiro.adapters.database.hooks import SqlHooks
from tiro.adapters.database.jobs import SqlJobs
from tiro.adapters.database.ledger import SqlLedger
from tiro.adapters.database.limits import SqlLimits
from tiro.adapters.database.replays import SqlReplays
from tiro.adapters.database.rows import Rows
from tiro.adapters.database.signing import SqlSigningKeys
from tiro.adapters.database.wallets import SqlWallets
from tiro.ports import (
    Accounts,
    Batches,
    Books,
    Clock,
    Families,
    Hooks,
    Jobs,
    Ledger,
    Limits,
    Replays,
    SigningKeys,
    Transaction,
    Wallets,
)


class SqlTransaction:
    """Everything done through it is committed together or not at all."""

    def __init__(self, rows: Rows) -> None:
        self.accounts: Accounts = SqlAccounts(rows)
        self.jobs: Jobs = SqlJobs(rows)
        self.ledger: Ledger = SqlLedger(rows)
        self.hooks: Hooks = SqlHooks(rows)
        self.replays: Replays = SqlReplays(rows)
        self.limits: Limits = SqlLimits(rows)
        self.families: Families = SqlFamilies(rows)
        self.wallets: Wallets = SqlWallets(rows)
        self.batches: Batches = SqlBatches(rows)
        self.signing_keys: SigningKeys = SqlSigningKeys(rows)
        self.books: Books = SqlBooks(rows)


class SqlRecords:
    """SQLite for one process, PostgreSQL for any number. Used from one event loop."""

    def __init__(self, engine: AsyncEngine, clock: Clock, own_clock: bool) -> None:
        self._engine = engine
        self._looking = looking(engine)
        self._clock = clock
        self._own_clock = own_clock

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Commits when left normally, rolls back on any exception. On SQLite do not begin one inside another: it waits for itself."""
        with translated():
            async with self._engine.begin() as connection:
                yield SqlTransaction(Rows(connection))

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Transaction]:
        """Only questions, each answered by what is committed when it is asked: one way to the database where a transaction has three."""
        with translated():
            async with self._looking.connect() as connection:
                yield SqlTransaction(Rows(connection))

    async def now(self) -> datetime:
        """PostgreSQL's clock; a file has none of its own, so SQLite's is ours."""
        if not self._own_clock:
            return self._clock.now()
        with translated():
            async with self._engine.connect() as connection:
                moment = await connection.scalar(select(func.clock_timestamp(type_=DateTime(timezone=True))))
        assert moment is not None
        return moment.astimezone(UTC)

    async def close(self) -> None:
        """Ends every connection. Harmless when repeated."""
        await self._engine.dispose()


def open_records(url: str, clock: Clock) -> SqlRecords:
    """Nothing is connected yet; `migrate` has made the tables. Raises Invalid `invalid_setting` for an address of another kind."""
    parsed = parse(url)
    return SqlRecords(async_engine(parsed), clock, own_clock=not is_sqlite(parsed))
