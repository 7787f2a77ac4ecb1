"""What all commands share at their edge: options, errors in words, waiting for signals, tables for people and JSON for pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from commands.folder import DataFolder, default_data
from commands.logs import set_up_logging
from tiro.adapters.allocator import give_back_early
from tiro.model.errors import TiroError

if TYPE_CHECKING:
    from commands.reach import Reach

T = TypeVar("T")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the embedded server. [default: $TIRO_DATA, or ~/.local/share/tiro]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of words, for a pipe.")


def folder_of(data: Path | None) -> DataFolder:
    """The data folder that was named, or the usual one."""
    return DataFolder(data or default_data(os.environ))


def say(line: str) -> None:
    """A line for the person, not for the pipe."""
    click.echo(line, err=True)


def quiet(_: str) -> None:
    """For who asked for JSON alone."""


def run(work: Coroutine[Any, Any, T], log: str = "warning") -> T:
    """Run to the end; errors of ours become a line that says what to do, and exit status 1."""
    set_up_logging(os.environ.get("TIRO_LOG") or log)
    give_back_early()
    try:
        return asyncio.run(work)
    except TiroError as error:
        raise click.ClickException(error.message) from None


def reaching(data: Path | None, work: Callable[[Reach], Awaitable[T]]) -> T:
    """Do something with the records, whichever way they are reached."""

    async def there() -> T:
        from commands.reach import reach

        async with reach(folder_of(data)) as records:
            return await work(records)

    return run(there())


@contextlib.contextmanager
def stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stopping`; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            say("Stopped hard; what was under way goes on at the next start.")
            os._exit(130)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def first_of(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def show_json(value: object) -> None:
    """One line."""
    click.echo(msgspec.json.encode(value).decode())


def show_rows(rows: Sequence[msgspec.Struct], columns: dict[str, str], *, as_json: bool) -> None:
    """A table with these columns (field -> heading), or the whole rows as a JSON array."""
    if as_json:
        show_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(as_text(getattr(row, name)) for name in columns))
    # a pipe has no width: nothing is folded there
    Console(width=None if sys.stdout.isatty() else 250).print(table)


def show_one(row: msgspec.Struct, *, as_json: bool) -> None:
    """Names and values below each other, or JSON."""
    if as_json:
        show_json(row)
        return
    values = {name: as_text(value) for name, value in msgspec.structs.asdict(row).items()}
    width = max(map(len, values), default=0)
    for name, text in values.items():
        if text:
            click.echo(f"{name:<{width}}  {text}")


def as_text(value: object) -> str:
    """As a person reads it: empty for nothing, yes and no, seconds of the local clock."""
    match value:
        case None | "" | () | []:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
        case float():
            return f"{value:.2f}"
        case list() | tuple():
            return ", ".join(map(as_text, value))
        case dict():
            return ", ".join(f"{name}={as_text(inner)}" for name, inner in value.items())
        case _:
            return str(value)
