"""`tiro up`: the service on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click
import msgspec

from commands.embedded import Embedded, Running
from commands.folder import DataFolder
from commands.logs import set_up_logging
from tiro.model.errors import TiroError


def default_data(environ: dict[str, str]) -> Path:
    """Where an embedded server keeps its things unless told otherwise."""
    home = environ.get("XDG_DATA_HOME")
    return Path(home) / "tiro" if home else Path.home() / ".local" / "share" / "tiro"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder for records, recordings and keys. [default: ~/.local/share/tiro]")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port of the API on 127.0.0.1.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready, and nothing else.")
def up(data: Path | None, port: int, *, as_json: bool) -> None:
    """Run Tiro on this machine: API, workers, and a Temporal server with its UI.

    The first start makes an account and a key and keeps them in the data folder. Ctrl-C stops it; what was under way goes on at the
    next start.
    """
    folder = DataFolder(data or default_data(dict(os.environ)))
    set_up_logging(os.environ.get("TIRO_LOG", "warning" if as_json else "info"))
    try:
        raise SystemExit(asyncio.run(_up(folder, port, as_json=as_json)))
    except TiroError as error:
        raise click.ClickException(error.message) from None


async def _up(folder: DataFolder, port: int, *, as_json: bool) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with folder.held(port) as lock:
        embedded = Embedded(folder, lock, port, dict(os.environ), _quiet if as_json else _say)
        running = await embedded.start()
        _announce(running, as_json=as_json)
        waits = [asyncio.create_task(event.wait()) for event in (stopping, embedded.failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not as_json:
            _say("Stopping: what runs has 5 s, the rest goes on at the next start ...")
        await embedded.stop()
    return 1 if embedded.failed.is_set() else 0


def _announce(running: Running, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(running).decode())
        return
    click.echo(f"""
Tiro is up.
  API          {running.api}   (docs: {running.api}/docs)
  Temporal UI  {running.temporal_ui or running.temporal_address}
  engine       {", ".join(running.engines)}; voices by {running.diarizer}
  key          {running.key}
  data         {running.data}

Try:
  tiro transcribe RECORDING
  curl -H "Authorization: Bearer {running.key}" -F file=@RECORDING {running.api}/jobs
Stop with Ctrl-C.
""")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _quiet(_: str) -> None:
    return
