"""Two columns of one name, what is there and what should be: how a statement finds those that differ, and how they are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, RowMapping, Select, func, or_, select

from tiro.model.audit import Difference

SHOULD = "_should"
"""Ends the name of the column that holds what should be."""


def unequal(rows: CompoundSelect[Any], key: Sequence[str], names: Sequence[str]) -> Select[Any]:
    """Add up all rows of one key; only keys with a name whose two sums differ."""
    table = rows.subquery()
    sums = {name: func.sum(table.c[name]) for name in (*names, *(f"{name}{SHOULD}" for name in names))}
    columns = [table.c[name] for name in key]
    query = select(*columns, *(total.label(name) for name, total in sums.items())).group_by(*columns)
    return query.having(or_(*(sums[name] != sums[f"{name}{SHOULD}"] for name in names)))


def differences(rows: Iterable[RowMapping], subject: Sequence[str], names: Sequence[str]) -> list[Difference]:
    """A difference for each of the names that differ. Nothing counts as 0."""
    return [
        Difference(" ".join(str(row[part]) for part in subject), name, there, should)
        for row in rows
        for name in names
        if (there := int(row[name] or 0)) != (should := int(row[f"{name}{SHOULD}"] or 0))
    ]
