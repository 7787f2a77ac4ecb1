"""Fixtures of what strangers do to the transcribe API and its links."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.config import RequestLimits
from tests.acceptance.conftest import make_site, site
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api, api, api_database, apis, make_api
from tests.servers.databases import postgres_template, postgres_url
from tests.servers.postgres import postgres_server

__all__ = [
    "api",
    "api_database",
    "make_api",
    "make_site",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "site",
]

PLANS = "[plans.business]\nrequests_minute = 100000\nmax_awaiting = 100000\n"
"""Asked as often as these tests like."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory, api_database: Path) -> AsyncIterator[Api]:
    """One server for the tests of a file that are marked `asyncio(loop_scope="module")`: with money, and nobody waits long."""
    folder = tmp_path_factory.mktemp("lasting")
    plans = folder / "plans.toml"
    plans.write_text(PLANS)
    async with apis(folder, api_database) as make:
        yield await funded(await make(limits=RequestLimits(wait_s=0.01), environ={"TIRO_PLANS": str(plans)}))
