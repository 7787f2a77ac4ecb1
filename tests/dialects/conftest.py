"""Fixtures of the dialects' tests."""

from tests.servers.api import api, api_database, lasting_api, make_api
from tests.servers.databases import database_url, postgres_template, postgres_url, sqlite_template, sqlite_url
from tests.servers.postgres import postgres_server

__all__ = [
    "api",
    "api_database",
    "database_url",
    "lasting_api",
    "make_api",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]
