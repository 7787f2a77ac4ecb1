"""Fixtures of the fuzzers."""

from tests.hostile.media.conftest import preparer, upload
from tests.servers.api import api, api_database, make_api

__all__ = ["api", "api_database", "make_api", "preparer", "upload"]
