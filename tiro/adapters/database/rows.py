"""A connection that speaks in rows and raises our errors, and the way from a struct to a row and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Executable, RowMapping, Table, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tiro.adapters.database.faults import translated

_FORGETFUL = text("SET LOCAL synchronous_commit TO OFF")
Noun = TypeVar("Noun", bound=msgspec.Struct)


def read(kind: type[Noun], row: RowMapping, prefix: str = "") -> Noun:
    """The struct in a row; its fields are columns of the same names, behind `prefix` where several structs share it."""
    return kind(**{field: row[prefix + field] for field in kind.__struct_fields__})


def write(noun: msgspec.Struct) -> dict[str, Any]:
    """The row of a struct."""
    return msgspec.structs.asdict(noun)


class Rows:
    """One open transaction. Every statement goes through here, so that every error is ours."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._on_postgres = connection.dialect.name == "postgresql"

    async def may_forget(self) -> None:
        """What this transaction writes need not be on the disk when it is committed: a crash of the server may take the last of it."""
        if self._on_postgres:
            await self.run(_FORGETFUL)

    async def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> int:
        """How many rows it changed. Values given apart are not part of the statement, which is then made only once."""
        with translated():
            return (await self._connection.execute(statement, values)).rowcount

    async def one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> RowMapping | None:
        """The only row, or None. `values` as in `run`."""
        with translated():
            return (await self._connection.execute(statement, values)).mappings().one_or_none()

    async def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        """Every row. `values` as in `run`."""
        with translated():
            return (await self._connection.execute(statement, values)).mappings().all()

    async def value(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""
        with translated():
            return (await self._connection.execute(statement)).scalar()

    async def insert_new(self, table: Table, *rows: Mapping[str, Any]) -> int:
        """Insert what is not there yet; how many were new. Waits for another transaction that is inserting the same."""
        insert = postgresql.insert(table) if self._on_postgres else sqlite.insert(table)
        # the values of one row stay apart: a statement that holds values is made anew each time
        statement = insert if len(rows) == 1 else insert.values(list(rows))
        new = statement.on_conflict_do_nothing().returning(*table.primary_key.columns)
        return len(await self.all(new, rows[0] if len(rows) == 1 else None))

    async def upsert(
        self, table: Table, row: Mapping[str, Any], key: Sequence[str], change: Mapping[str, ColumnElement[Any]]
    ) -> RowMapping:
        """Insert the row, or apply `change` to the one of the same `key`; the row as it then stands."""
        insert = postgresql.insert(table) if self._on_postgres else sqlite.insert(table)
        statement = insert.values(dict(row)).on_conflict_do_update(index_elements=list(key), set_=dict(change))
        standing = await self.one(statement.returning(table))
        assert standing is not None
        return standing

    async def forget(self, table: Table, old: ColumnElement[bool]) -> int:
        """Delete what is old, except what another transaction is using; how many. For tables with a key of one column."""
        (key,) = table.primary_key.columns
        free = select(key).where(old).with_for_update(skip_locked=True)
        return await self.run(delete(table).where(key.in_(free)))
