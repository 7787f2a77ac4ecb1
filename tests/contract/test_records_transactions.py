"""Is a transaction all or nothing, whoever else writes, and does a database that is away say so?"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.contract.records_nouns import account, given, job, two_processes, within
from tests.servers.databases import START, SteppedClock
from tests.servers.postgres import PostgresServer
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.errors import TiroError, Transient
from tiro.model.job import JobPatch
from tiro.ports import Transaction


async def _add_one(records: SqlRecords) -> None:
    async with records.begin() as tx:
        row = await tx.jobs.get("job_1")
        assert row is not None
        await asyncio.sleep(0)
        await tx.jobs.patch("job_1", 1, JobPatch(spans_total=(row.spans_total or 0) + 1), row.changed_at)


async def _add_and_fail(tx: Transaction) -> None:
    await tx.accounts.add(account())
    await tx.jobs.add(job())
    raise LookupError


async def test_an_exception_takes_everything_back(records: SqlRecords) -> None:
    with pytest.raises(LookupError):
        await within(records, _add_and_fail)
    assert await within(records, lambda tx: tx.accounts.get("acct_1")) is None


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(records: SqlRecords) -> None:
    for turn in range(20):
        begun = asyncio.Event()

        async def write(begun: asyncio.Event = begun) -> None:
            async with records.begin() as tx:
                await tx.accounts.add(account())
                begun.set()
                while True:
                    await tx.accounts.all()

        task = asyncio.create_task(write())
        await begun.wait()
        for _ in range(turn):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await within(records, lambda tx: tx.accounts.all()) == []
    await given(records, account())


async def test_two_hundred_writers_at_once_lose_no_update_on_sqlite(sqlite_url: str, clock: SteppedClock) -> None:
    records = open_records(sqlite_url, clock)
    await given(records, account(), job())
    await within(records, lambda tx: tx.jobs.claim("job_1", 1, "flow", clock.now()))
    await asyncio.gather(*(_add_one(records) for _ in range(200)))
    row = await within(records, lambda tx: tx.jobs.get("job_1"))
    await records.close()
    assert row is not None
    assert row.spans_total == 200


async def test_sqlite_keeps_a_write_ahead_log_and_its_references(sqlite_url: str, clock: SteppedClock) -> None:
    records = open_records(sqlite_url, clock)
    with pytest.raises(TiroError):
        await given(records, job(account_id="acct_missing"))
    await records.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_lock_that_stays_is_transient(
    sqlite_url: str, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiro.adapters.database.connect._PRAGMAS", ("PRAGMA busy_timeout=50",))
    records = open_records(sqlite_url, clock)
    stranger = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient) as locked:
        await given(records, account())
    assert locked.value.code == "database_unavailable"
    stranger.execute("ROLLBACK")
    stranger.close()
    await given(records, account())
    await records.close()


async def test_a_server_that_is_away_is_transient(tmp_path: Path, clock: SteppedClock) -> None:
    records = open_records(f"postgresql://postgres@/none?host={tmp_path}", clock)
    for work in (records.now, lambda: given(records, account())):
        with pytest.raises(Transient) as away:
            await work()
        assert away.value.code == "database_unavailable"
    await records.close()


async def test_lost_connections_are_transient_inside_a_transaction_and_replaced_after_it(
    postgres_server: PostgresServer, postgres_url: str, clock: SteppedClock
) -> None:
    async def write_and_lose(tx: Transaction) -> None:
        await tx.accounts.add(account())
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as operator:
            operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiro'")
        await tx.accounts.all()

    records = open_records(postgres_url, clock)
    with pytest.raises(Transient) as lost:
        await within(records, write_and_lose)
    assert lost.value.code == "database_unavailable"
    await given(records, account())
    await records.close()


async def test_a_deadlock_is_transient_for_one_of_the_two(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account("acct_1"), account("acct_2"))

        async def touch(
            records: SqlRecords, first: str, second: str, mine: asyncio.Event, theirs: asyncio.Event
        ) -> None:
            async with records.begin() as tx:
                await tx.accounts.save(account(first, "pro"))
                mine.set()
                await theirs.wait()
                await tx.accounts.save(account(second, "pro"))

        a, b = asyncio.Event(), asyncio.Event()
        ends = await asyncio.gather(
            touch(one, "acct_1", "acct_2", a, b), touch(other, "acct_2", "acct_1", b, a), return_exceptions=True
        )
    assert sorted(type(end) for end in ends if end is not None) == [Transient]


async def test_its_clock_is_near_ours_on_postgresql_and_ours_on_sqlite(records: SqlRecords, database_url: str) -> None:
    now = await records.now()
    assert now.utcoffset() == timedelta(0)
    if database_url.startswith("sqlite"):
        assert now == START
    else:
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


async def test_closing_twice_is_harmless(records: SqlRecords) -> None:
    await given(records, account())
    await records.close()
    await records.close()
