"""What may not come too often, counted in the database: one row per name, locked while it is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from tiro.adapters.database.rows import Rows
from tiro.adapters.database.tables import limits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqlLimits:
    """The `Limits` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def take(self, name: str, at_most: int, within: timedelta, now: datetime) -> timedelta | None:
        fresh = {"name": name, "taken": (), "until": now}
        # changes nothing, but holds the row until the end of the transaction
        row = await self._rows.upsert(limits, fresh, ("name",), {"until": limits.c.until})
        moment, length = (now - _EPOCH) // _MICROSECOND, within // _MICROSECOND
        counted: list[int] = [taken for taken in row["taken"] if taken > moment - length]
        if len(counted) >= at_most:
            return (counted[-at_most] + length - moment) * _MICROSECOND
        # another process' clock may be ahead of ours: the order stays that of time
        counted = sorted([*counted, moment])
        until = _EPOCH + (counted[-1] + length) * _MICROSECOND
        await self._rows.run(update(limits).where(limits.c.name == name).values(taken=tuple(counted), until=until))
        return None

    async def may_be_lost(self) -> None:
        await self._rows.may_forget()

    async def forget(self, now: datetime) -> int:
        return await self._rows.forget(limits, limits.c.until <= now)
