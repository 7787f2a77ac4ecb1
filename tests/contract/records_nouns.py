"""Accounts, jobs and deliveries for the suites of the records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import psycopg

from tests.servers.databases import START
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.model.account import Account
from tiro.model.blob import BlobRef
from tiro.model.hook import Delivery, SealedUrl
from tiro.model.job import Ending, Job
from tiro.model.request import JobOptions, UploadedSource
from tiro.ports import Clock, Transaction

Answer = TypeVar("Answer")
CAPS = {"free": 2, "pro": 20, "business": 50}
DONE = Ending(outcome="completed", billed_s=600, overage_s=0)


def account(account_id: str = "acct_1", plan: str = "free", **fields: Any) -> Account:
    return Account(account_id=account_id, name="Someone", plan=plan, created_at=START, **fields)


def job(job_id: str = "job_1", account_id: str = "acct_1", at: datetime = START, **fields: Any) -> Job:
    values: dict[str, Any] = {
        "dialect": "jobs",
        "options": JobOptions(),
        "source": UploadedSource(BlobRef(f"jobs/{job_id}/source", 9, "00" * 32)),
        "created_at": at,
        "changed_at": at,
    }
    return Job(job_id=job_id, account_id=account_id, **values | fields)


def delivery(event_id: str = "evt_1", job_id: str = "job_1", **fields: Any) -> Delivery:
    return Delivery(
        event_id=event_id,
        job_id=job_id,
        account_id="acct_1",
        dialect="jobs",
        event="job.completed",
        url=SealedUrl(b"sealed", "example.com"),
        scheme="jobs",
        body=BlobRef(f"jobs/{job_id}/events/{event_id}.json", 20, "11" * 32, "application/json"),
        created_at=START,
        **fields,
    )


async def given(records: SqlRecords, *nouns: Account | Job | Delivery) -> None:
    """Write them, in one transaction."""
    async with records.begin() as tx:
        for noun in nouns:
            match noun:
                case Account():
                    await tx.accounts.add(noun)
                case Job():
                    await tx.jobs.add(noun)
                case Delivery():
                    await tx.hooks.add(noun)


async def within(records: SqlRecords, work: Callable[[Transaction], Awaitable[Answer]]) -> Answer:
    """One call in a transaction of its own."""
    async with records.begin() as tx:
        return await work(tx)


@asynccontextmanager
async def two_processes(url: str, clock: Clock) -> AsyncIterator[tuple[SqlRecords, SqlRecords]]:
    """What two API processes have: an engine each on one PostgreSQL."""
    one, other = open_records(url, clock), open_records(url, clock)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


async def somebody_waits(url: str) -> None:
    """Until a statement of another connection waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as operator, asyncio.timeout(20):
        while (await (await operator.execute(query)).fetchone()) == (0,):
            await asyncio.sleep(0.01)
