"""Fixtures: an installation per test, on PostgreSQL and on a namespace of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.acceptance.site import Site
from tests.servers.databases import postgres_template, postgres_url
from tests.servers.postgres import postgres_server
from tests.servers.s3 import s3_bucket, s3_server

__all__ = ["postgres_server", "postgres_template", "postgres_url", "s3_bucket", "s3_server"]

SiteMaker = Callable[..., Awaitable[Site]]


@pytest.fixture
async def make_site(
    tmp_path: Path, postgres_url: str, temporal_address: str, temporal_client: Client
) -> AsyncIterator[SiteMaker]:
    """Make the installation, with changes to its settings."""
    sites: list[Site] = []

    async def make(client: Client = temporal_client, **changes: str) -> Site:
        environ = {
            "TIRO_DATABASE_URL": postgres_url,
            "TEMPORAL_ADDRESS": temporal_address,
            "TEMPORAL_NAMESPACE": temporal_client.namespace,
            **changes,
        }
        sites.append(Site(tmp_path, environ, client))
        await sites[-1].open()
        return sites[-1]

    yield make
    for site in sites:
        try:
            if not site.spoiled:
                await site.check_agrees()
        finally:
            await site.close()


@pytest.fixture
async def site(make_site: SiteMaker) -> Site:
    return await make_site()
