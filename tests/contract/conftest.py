"""Fixtures of the contract suites."""

from tests.servers.databases import (
    clock,
    database_url,
    postgres_template,
    postgres_url,
    records,
    sqlite_template,
    sqlite_url,
)
from tests.servers.postgres import postgres_server

__all__ = [
    "clock",
    "database_url",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "records",
    "sqlite_template",
    "sqlite_url",
]
