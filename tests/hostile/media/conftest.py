"""Fixtures: a preparer like the service's, and a place for the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.api import api, api_database, make_api
from tiro.adapters.media.preparer import ChildPreparer

__all__ = ["api", "api_database", "make_api"]


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
