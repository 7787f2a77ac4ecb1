"""Who gets a free slot: the job that waits longest, of each account that runs fewer jobs than its plan allows.

Correct with any number of processes: an account that another process is serving is skipped, not waited for (PostgreSQL);
on SQLite there is one process, and transactions stand in line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

from sqlalchemy import ColumnElement, RowMapping, case, exists, literal_column, select, update

from tiro.adapters.database.rows import Rows, write
from tiro.adapters.database.tables import IN_LINE, accounts, jobs, orders
from tiro.model.job import Order

WAITING: ColumnElement[bool] = literal_column(f"({IN_LINE})")
"""Without a type: SQLite would compare a boolean with 1, and not see the index in it."""


async def admit(rows: Rows, caps: Mapping[str, int], limit: int) -> list[Order]:
    """Slots and orders for at most `limit` jobs, taken in turns from the accounts. A plan that `caps` does not name gets none."""
    if not caps or limit < 1:
        return []
    served = await _with_room(rows, caps, limit)
    lines = [await in_line(rows, one["account_id"], WAITING, min(one["free"], limit)) for one in served]
    chosen = in_turns(lines, limit)
    if not chosen:
        return []
    await rows.run(update(jobs).where(jobs.c.job_id.in_([job["job_id"] for job in chosen])).values(admitted=True))
    for account_id, slots in Counter(job["account_id"] for job in chosen).items():
        taken = update(accounts).where(accounts.c.account_id == account_id).values(running=accounts.c.running + slots)
        await rows.run(taken)
    given = [
        Order("transcription" if job["files_total"] is None else "batch", job["job_id"], job["run"]) for job in chosen
    ]
    await rows.insert_new(orders, *map(write, given))
    return given


async def _with_room(rows: Rows, caps: Mapping[str, int], limit: int) -> list[RowMapping]:
    """Accounts with a free slot and a waiting job, locked. The lock lets new jobs of theirs come in meanwhile."""
    cap = case(dict(caps), value=accounts.c.plan, else_=0)
    some_wait = exists().where(jobs.c.account_id == accounts.c.account_id, WAITING)
    room = (
        select(accounts.c.account_id, (cap - accounts.c.running).label("free"))
        .where(accounts.c.running < cap, some_wait)
        .order_by(accounts.c.running, accounts.c.account_id)
        .limit(limit)
        .with_for_update(of=accounts, skip_locked=True, key_share=True)
    )
    return list(await rows.all(room))


async def in_line(rows: Rows, account_id: str, which: ColumnElement[bool], at_most: int) -> list[RowMapping]:
    """Those of an account's jobs that are next, locked, longest waiting first (a retry waits since it was asked for)."""
    line = (
        select(jobs.c.job_id, jobs.c.account_id, jobs.c.run, jobs.c.files_total)
        .where(jobs.c.account_id == account_id, which)
        .order_by(jobs.c.changed_at, jobs.c.job_id)
        .limit(at_most)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return list(await rows.all(line))


def in_turns(lines: Sequence[Sequence[RowMapping]], at_most: int) -> list[RowMapping]:
    """The first of each line, then the second of each."""
    return [job for job in chain.from_iterable(zip_longest(*lines)) if job is not None][:at_most]
