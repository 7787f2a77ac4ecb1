"""Fixtures: a preparer like the service's, and a place for the file; an API, and a whole installation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import make_site, site
from tests.servers.api import api_database, make_api
from tests.servers.databases import postgres_template, postgres_url
from tests.servers.postgres import postgres_server
from tiro.adapters.media.preparer import ChildPreparer

__all__ = ["api_database", "make_api", "make_site", "postgres_server", "postgres_template", "postgres_url", "site"]


@pytest.fixture(scope="module")
def preparer() -> Iterator[ChildPreparer]:
    """Takes all sound for speech, so that tones will do."""
    made = ChildPreparer(vad="energy")
    yield made
    made.close()


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """Named like a recording, whatever is put in."""
    return tmp_path / "upload.mp3"
