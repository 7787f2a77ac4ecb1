"""The server's signing keys in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import signing_keys as keys
from tiro.model.signing import SigningKey


class SqlSigningKeys:
    """The `SigningKeys` port inside one transaction; that there is one active and one next at most, an index watches."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def all(self) -> list[SigningKey]:
        rows = await self._rows.all(select(keys).order_by(keys.c.created_at, keys.c.key_id))
        return [read(SigningKey, row) for row in rows]

    async def add(self, key: SigningKey) -> bool:
        return await self._rows.insert_new(keys, write(key)) == 1

    async def activate(self, key_id: str, now: datetime, retired_at: datetime) -> bool:
        upcoming = select(keys.c.key_id).where(keys.c.key_id == key_id, keys.c.state == "next").with_for_update()
        if await self._rows.value(upcoming) is None:
            return False
        active = update(keys).where(keys.c.state == "active")
        await self._rows.run(active.values(state="retired", retired_at=retired_at))
        await self._rows.run(update(keys).where(keys.c.key_id == key_id).values(state="active"))
        return True

    async def forget(self, now: datetime) -> int:
        return await self._rows.forget(keys, (keys.c.state == "retired") & (keys.c.retired_at <= now))
