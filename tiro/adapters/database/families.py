"""Families of refresh tokens in the database: one row each, locked while one of its tokens is used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import families
from tiro.model.family import Family


class SqlFamilies:
    """The `Families` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, family_id: str) -> Family | None:
        row = await self._rows.one(select(families).where(families.c.family_id == family_id))
        return None if row is None else read(Family, row)

    async def lock(self, fresh: Family) -> Family:
        # changes nothing in a row that stands, but holds it until the end of the transaction
        return read(
            Family, await self._rows.upsert(families, write(fresh), ("family_id",), {"until": families.c.until})
        )

    async def save(self, family: Family) -> None:
        await self._rows.run(update(families).where(families.c.family_id == family.family_id).values(write(family)))

    async def forget(self, now: datetime) -> int:
        return await self._rows.forget(families, families.c.until <= now)
