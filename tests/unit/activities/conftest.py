"""Fixtures: the services' desk, for stations that write into the record."""

from tests.unit.services.conftest import clock, desk, sqlite_template, sqlite_url

__all__ = ["clock", "desk", "sqlite_template", "sqlite_url"]
