"""What is an installation of several processes? PostgreSQL that keeps what it commits, Temporal, an API and workers, in one folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import Client

from tests.acceptance.site import Site
from tests.servers.postgres import running_postgres
from tiro.adapters.database.migrate import migrate
from tiro.adapters.temporal.binary import get_binary
from tiro.adapters.temporal.converter import DATA_CONVERTER
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.adapters.temporal.namespace import prepare_namespace


@contextlib.asynccontextmanager
async def apart(folder: Path, **environ: str) -> AsyncIterator[Site]:
    """Everything but processes of ours, which the caller starts: `site.working()`, `site.serving()`."""
    server = DevServer(
        await get_binary(os.environ, print),
        DevServerPlace(folder / "temporal.db", folder / "temporal.log", free_port(), free_port()),
    )
    with running_postgres(durable=True) as postgres:
        database = postgres.url(postgres.create())
        migrate(database)
        await server.start()
        try:
            client = await Client.connect(server.place.address, data_converter=DATA_CONVERTER)
            await prepare_namespace(client)
            site = Site(
                folder, {"TIRO_DATABASE_URL": database, "TEMPORAL_ADDRESS": server.place.address, **environ}, client
            )
            await site.open()
            try:
                yield site
            finally:
                await site.close()
        finally:
            await server.stop()
