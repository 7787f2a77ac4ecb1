"""`tiro serve`: the API alone, beside workers, a database and a Temporal cluster that stand elsewhere."""

from __future__ import annotations

import asyncio
import os

import click

from commands.console import run, say, stop_signals


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to listen on.")
def serve(host: str, port: int) -> None:
    """Serve the API alone; settings come from the environment.

    Plain HTTP, for a proxy in front that ends TLS. Workers run beside it: `python worker.py --queue ...`.
    """
    run(_serve(host, port), "info")


async def _serve(host: str, port: int) -> None:
    from api.app import create_app
    from commands.listening import Listening, api_config, listener
    from tiro.settings import read
    from tiro.wiring import build_core

    settings = read(os.environ)
    stopping = asyncio.Event()
    with stop_signals(stopping), listener(host, port) as socket:
        await _schema_there(settings.database_url)
        core = await build_core(settings)
        try:
            await core.check()
            app = create_app(core.house, api_config(settings))
            server = Listening(app, socket, core.house.waits.let_go, stop_within_s=10)
            await server.start()
            say(f"Serving {settings.public_url} on {host}:{socket.getsockname()[1]}.")
            await stopping.wait()
            await server.stop()
        finally:
            await core.close()


async def _schema_there(database_url: str) -> None:
    """A database that is away delays answers; one without our tables would fail them all."""
    from tiro.adapters.database.migrate import is_current
    from tiro.model.errors import Permanent, Transient

    try:
        current = await asyncio.to_thread(is_current, database_url)
    except Transient:
        say("The database does not answer yet; serving all the same.")
        return
    if not current:
        raise Permanent("database_old", "The database is not at this version's schema. Run `tiro migrate` first.")
