"""Who gets a free slot: the job that waits longest, of each account that runs fewer jobs than its plan allows.

Correct with any number of processes: an account that another process is serving is skipped, not waited for (PostgreSQL);
on SQLite there is one process, and transactions stand in line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, bindparam, case, func, literal_column, select, update

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
    return list(await rows.all(_room(tuple(caps.items())), {"at_most": limit}))


@lru_cache(maxsize=1)
def _room(caps: tuple[tuple[str, int], ...]) -> Select[Any]:
    cap = cap_of_plan(caps)
    return (
        select(accounts.c.account_id, (cap - accounts.c.running).label("free"))
        .where(accounts.c.account_id.in_(accounts_in(WAITING)), accounts.c.running < cap)
        .order_by(accounts.c.running, accounts.c.account_id)
        .limit(bindparam("at_most"))
        .with_for_update(of=accounts, skip_locked=True, key_share=True)
    )


def cap_of_plan(caps: tuple[tuple[str, int], ...]) -> ColumnElement[int]:
    """How many jobs an account's plan may run at once."""
    return case(dict(caps), value=accounts.c.plan, else_=0)


def accounts_in(which: ColumnElement[bool]) -> Select[Any]:
    """Whose jobs are such, by leaps through an index over just these: as many looks as accounts, however long their lines."""
    found = select(func.min(jobs.c.account_id).label("account_id")).where(which).cte("found", recursive=True)
    following = select(func.min(jobs.c.account_id)).where(which, jobs.c.account_id > found.c.account_id)
    leaps = found.union_all(select(following.scalar_subquery()).where(found.c.account_id.is_not(None)))
    return select(leaps.c.account_id)


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
