"""Fixtures of who is not who they say."""

from tests.servers.api import api, api_database, lasting_api, make_api

__all__ = ["api", "api_database", "lasting_api", "make_api"]
