"""`tiro migrate`: brings the database and Temporal's namespace to what this version needs."""

from __future__ import annotations

import asyncio
import os

import click

from commands.console import run, say


@click.command(short_help="Prepare database and Temporal for this version.")
def migrate() -> None:
    """Prepare database and Temporal for this version: tables, search attributes, schedules.

    Settings come from the environment. Doing it again changes nothing. (`tiro up` does this by itself.)
    """
    run(_migrate())


async def _migrate() -> None:
    from temporalio.service import RPCError

    from tiro.adapters.database import migrate as database
    from tiro.adapters.temporal.client import connect
    from tiro.adapters.temporal.namespace import prepare_namespace
    from tiro.model.errors import Transient
    from tiro.settings import read

    settings = read(os.environ)
    before = await asyncio.to_thread(database.current_revision, settings.database_url)
    now = await asyncio.to_thread(database.migrate, settings.database_url)
    say(f"database: at {now}" + (", as before" if now == before else f", was {before or 'empty'}"))
    try:
        added = await prepare_namespace(await connect(settings.temporal, lazy=False))
    except (RuntimeError, RPCError):
        raise Transient(
            "temporal_unavailable", f"No Temporal cluster answers at {settings.temporal.address}; see TEMPORAL_ADDRESS."
        ) from None
    say(f"temporal: namespace {settings.temporal.namespace} " + (f"got {', '.join(added)}" if added else "has all"))
