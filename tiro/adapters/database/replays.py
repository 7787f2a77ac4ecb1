"""Answers that are given again, in the database. The unique name makes one of two that come at once wait for the other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import replays
from tiro.model.replay import Replay


class SqlReplays:
    """The `Replays` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, name: str, since: datetime) -> Replay | None:
        row = await self._rows.one(select(replays).where(replays.c.name == name, replays.c.created_at > since))
        return None if row is None else read(Replay, row)

    async def add(self, replay: Replay, since: datetime) -> bool:
        gone = delete(replays).where(replays.c.name == replay.name, replays.c.created_at <= since)
        await self._rows.run(gone)
        return await self._rows.insert_new(replays, write(replay)) == 1

    async def forget(self, since: datetime) -> int:
        return await self._rows.forget(replays, replays.c.created_at <= since)
