"""`tiro up`: the service on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.console import data_option, first_of, folder_of, quiet, run, say, show_json, stop_signals
from commands.folder import DataFolder

if TYPE_CHECKING:
    from commands.embedded import Running


@click.command(short_help="Run the whole service on this machine.")
@data_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of the API; 0: any free one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready, and nothing else.")
def up(data: Path | None, port: int, *, as_json: bool) -> None:
    """Run Tiro on this machine: API, workers, and a Temporal server with its UI.

    The first start makes an account and a key and keeps them in the data folder. Everything listens on 127.0.0.1 only.
    Ctrl-C stops it; what was under way goes on at the next start.
    """
    raise SystemExit(run(_up(folder_of(data), port, as_json=as_json), "warning" if as_json else "info"))


async def _up(folder: DataFolder, port: int, *, as_json: bool) -> int:
    from commands.embedded import Embedded

    stopping, tell = asyncio.Event(), quiet if as_json else say
    with stop_signals(stopping), folder.held(port) as lock:
        embedded = Embedded(folder, lock, port, dict(os.environ), tell)
        starting = asyncio.create_task(embedded.start())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return 0
        running = await starting
        show_json(running) if as_json else click.echo(announcement(running, folder))
        await first_of(stopping, embedded.failed)
        tell("Stopping: what runs has 5 s, the rest goes on at the next start ...")
        await embedded.stop()
    if embedded.failed.is_set():
        say("A worker failed; the log above says why.")
    return int(embedded.failed.is_set())


def announcement(running: Running, folder: DataFolder) -> str:
    """What a person is told: where everything is, and lines to paste."""
    usual = folder_of(None).path == folder.path
    named = "" if usual else f" --data {shlex.quote(running.data)}"
    return f"""
Tiro is up.
  API          {running.api}   (docs: {running.api}/docs)
  Temporal UI  {running.temporal_ui or running.temporal_address}
  engine       {", ".join(running.engines)}; voices by {running.diarizer}
  key          {running.key}
  data         {running.data}

Try, in another terminal:
  {_called_as()} transcribe{named} RECORDING
  {_called_as()} batch{named} FOLDER --out RESULTS
  curl -H "Authorization: Bearer {running.key}" -F file=@RECORDING {running.api}/v1/transcribe
  curl -H "Authorization: Bearer {running.key}" -F file=@RECORDING {running.api}/jobs
Stop with Ctrl-C.
"""


def _called_as() -> str:
    """`.venv/bin/tiro` where that was typed: the hint can be pasted as it stands."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "tiro" else "tiro"
