"""Whose recording is fetched before its job has a slot: of each account that runs all it may, the next in line that have an address.

An address may be good for an hour, and the line may be longer. No more wait fetched than may run, so that the store stays bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, ScalarSelect, Select, bindparam, func, literal_column, select, update

from tiro.adapters.database.admission import accounts_in, cap_of_plan, in_line, in_turns
from tiro.adapters.database.rows import Rows, write
from tiro.adapters.database.tables import AHEAD, TO_FETCH, accounts, jobs, orders
from tiro.model.job import Order

_AHEAD: ColumnElement[bool] = literal_column(f"({AHEAD})")
_UNFETCHED: ColumnElement[bool] = literal_column(f"({TO_FETCH})")


async def order_fetches(rows: Rows, caps: Mapping[str, int], limit: int) -> list[Order]:
    """Orders for at most `limit` recordings, taken in turns from the accounts; each is ordered once for a run."""
    if not caps or limit < 1:
        return []
    lines = [await _line(rows, account, limit) for account in await _full(rows, caps, limit)]
    chosen = in_turns(lines, limit)
    if not chosen:
        return []
    named = jobs.c.job_id.in_([job["job_id"] for job in chosen])
    await rows.run(update(jobs).where(named).values(fetch_run=jobs.c.run))
    given = [Order("fetch", job["job_id"], job["run"]) for job in chosen]
    await rows.insert_new(orders, *map(write, given))
    return given


async def _full(rows: Rows, caps: Mapping[str, int], limit: int) -> list[RowMapping]:
    """Accounts without a free slot, with a recording to fetch; locked, so that two relays do not fetch twice as much."""
    return list(await rows.all(_waiting(tuple(caps.items())), {"at_most": limit}))


@lru_cache(maxsize=1)
def _waiting(caps: tuple[tuple[str, int], ...]) -> Select[Any]:
    cap = cap_of_plan(caps)
    return (
        select(accounts.c.account_id, cap.label("cap"))
        .where(accounts.c.account_id.in_(accounts_in(_UNFETCHED)))
        .where(accounts.c.running >= cap, cap > 0, cap > _ahead_of(accounts.c.account_id))
        .order_by(accounts.c.running, accounts.c.account_id)
        .limit(bindparam("at_most"))
        .with_for_update(of=accounts, skip_locked=True, key_share=True)
    )


async def _line(rows: Rows, account: RowMapping, limit: int) -> list[RowMapping]:
    """The jobs of one account whose recordings may be fetched, longest waiting first."""
    # counted again: before the lock was taken another relay may have ordered
    room = account["cap"] - int(await rows.value(select(_ahead_of(account["account_id"]))))
    return await in_line(rows, account["account_id"], _UNFETCHED, max(0, min(room, limit)))


def _ahead_of(account_id: str | ColumnElement[str]) -> ScalarSelect[int]:
    return select(func.count()).select_from(jobs).where(jobs.c.account_id == account_id, _AHEAD).scalar_subquery()
