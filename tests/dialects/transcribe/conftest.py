"""Fixtures of the transcribe dialect's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.config import RequestLimits
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api, apis


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory, api_database: Path) -> AsyncIterator[Api]:
    """One server for the tests of a file that are marked `asyncio(loop_scope="module")`: with money, and nobody waits long."""
    async with apis(tmp_path_factory.mktemp("lasting"), api_database) as make:
        yield await funded(await make(limits=RequestLimits(wait_s=0.01)))
