"""What only asks: does it see what is committed, and does it neither wait for nobody nor hold up anybody?"""

from __future__ import annotations

import asyncio

import psycopg

from tests.contract.records_nouns import account, given, two_processes, within
from tests.servers.databases import SteppedClock
from tests.servers.postgres import PostgresServer
from tiro.adapters.database.records import SqlRecords, open_records


async def test_a_look_sees_what_was_committed_before_each_question(postgres_url: str, clock: SteppedClock) -> None:
    """Also between two questions: it is no transaction."""
    async with two_processes(postgres_url, clock) as (one, other), one.look() as tx:
        assert await tx.accounts.get("acct_1") is None
        await given(other, account())
        assert await tx.accounts.get("acct_1") == account()


async def test_a_look_does_not_wait_for_who_writes(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account())
        async with one.begin() as writing:
            await writing.accounts.save(account(plan="pro"))
            async with asyncio.timeout(20), other.look() as tx:
                assert await tx.accounts.get("acct_1") == account()


async def test_after_a_look_a_transaction_is_one_again(records: SqlRecords) -> None:
    """On the same connection: what is given back must not leave it without transactions."""
    async with records.look() as tx:
        assert await tx.accounts.all() == []

    async def fail() -> None:
        async with records.begin() as tx:
            await tx.accounts.add(account())
            raise LookupError

    for _ in range(3):
        try:
            await fail()
        except LookupError:
            assert await within(records, lambda tx: tx.accounts.all()) == []


async def test_connections_that_the_server_ended_while_idle_are_replaced_unseen(
    postgres_server: PostgresServer, postgres_url: str, clock: SteppedClock
) -> None:
    records = open_records(postgres_url, clock)
    await given(records, account())
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tiro'")
    assert await within(records, lambda tx: tx.accounts.get("acct_1")) == account()
    async with records.look() as tx:
        assert await tx.accounts.get("acct_1") == account()
    await records.close()
