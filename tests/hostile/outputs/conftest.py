"""Fixtures of what strangers read."""

from tests.servers.api import api, api_database, make_api

__all__ = ["api", "api_database", "make_api"]
