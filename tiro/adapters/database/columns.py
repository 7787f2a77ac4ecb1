"""What a column takes and gives back: checked text, moments in UTC, structs as JSON. The same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from tiro.model.errors import Invalid

SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database counts up (SQLite does so only for INTEGER)."""


class Words(TypeDecorator[str]):
    """Text that both databases take. NUL and lone surrogates are Invalid: PostgreSQL stores neither."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and ("\0" in value or not _encodes(value)):
            raise Invalid("invalid_request", "Text contains characters that cannot be stored.")
        return value


class Moment(TypeDecorator[datetime]):
    """An aware moment, to the microsecond, UTC. SQLite keeps it as text of fixed width, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an aware datetime is needed")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Packed(TypeDecorator[Any]):
    """A struct (or tuple, or dict) of the core as JSON text. `kind` is what comes back."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value, type=self.kind)


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
