"""Fixtures of what strangers send in."""

from tests.acceptance.conftest import make_site, site
from tests.servers.api import api, api_database, lasting_api, make_api
from tests.servers.databases import postgres_template, postgres_url
from tests.servers.postgres import postgres_server

__all__ = [
    "api",
    "api_database",
    "lasting_api",
    "make_api",
    "make_site",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "site",
]
