"""`tiro transcribe`: hand in recordings, watch, and write what became of them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from commands.console import data_option, folder_of, quiet, run, say, show_json, stop_signals
from commands.recordings import FORMATS, Recording, destination_of, recordings_of

if TYPE_CHECKING:
    from commands.submission import Outcome, Wish

_INTERRUPTED = 130


@click.command(short_help="Transcribe files, http(s) addresses or standard input.")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|URL|-...")
@click.option("--language", default="auto", show_default=True, help="Code of the language, such as en; auto finds it.")
@click.option("--diarize/--no-diarize", default=True, show_default=True, help="Say who speaks.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Repeatable. [default: txt]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File for one result, folder for several.")
@click.option("--server", envvar="TIRO_SERVER", help="Address of a server. [default: this machine's]")
@click.option("--key", envvar="TIRO_KEY", help="API key for --server.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per recording on standard output.")
def transcribe(
    sources: tuple[str, ...],
    language: str,
    formats: tuple[str, ...],
    output: Path | None,
    server: str | None,
    key: str | None,
    data: Path | None,
    *,
    diarize: bool,
    as_json: bool,
) -> None:
    """Transcribe recordings: files, http(s) addresses, or - for standard input.

    Uses the server that is named, else the one of the data folder (`tiro up`), else starts one for as long as it takes. One text goes to
    standard output; several results go to this folder, or to -o. Ctrl-C cancels what runs.
    """
    from commands.submission import Wish

    wanted = tuple(dict.fromkeys(formats)) or ("txt",)
    with tempfile.TemporaryDirectory(prefix="tiro-") as scratch:
        recordings = recordings_of(sources, Path(scratch))
        destination = destination_of(output, len(recordings), wanted)
        if as_json and destination.is_stdout:
            destination = msgspec.structs.replace(destination, folder=Path())
        wish = Wish(language, diarize, wanted, destination)
        status = run(_transcribe(recordings, wish, data, server, key, as_json=as_json), "error")
    raise SystemExit(status)


async def _transcribe(
    recordings: list[Recording], wish: Wish, data: Path | None, url: str | None, key: str | None, *, as_json: bool
) -> int:
    from commands.progress import Board
    from commands.server import server_for
    from commands.submission import Submissions

    stopping = asyncio.Event()
    with stop_signals(stopping):
        async with server_for(folder_of(data), url, key, quiet if as_json else say) as server:
            with Board([one.name for one in recordings], silent=as_json) as board:
                submissions = Submissions(server, wish, board)
                outcomes = await submissions.run(recordings, stopping)
    _report(outcomes, as_json=as_json)
    if stopping.is_set():
        say("Cancelled.")
        return _INTERRUPTED
    return int(any(outcome.error for outcome in outcomes))


def _report(outcomes: list[Outcome], *, as_json: bool) -> None:
    for outcome in outcomes:
        if as_json:
            show_json(outcome)
        elif outcome.error:
            say(f"{outcome.source}: {outcome.message}")
