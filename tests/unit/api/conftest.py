"""Fixtures of the HTTP side."""

from tests.servers.api import api, api_database, lasting_api, make_api

__all__ = ["api", "api_database", "lasting_api", "make_api"]
