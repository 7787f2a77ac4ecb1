"""`tiro batch`: hand in a list or a folder of recordings, watch, and write what became of each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from commands.batch.places import FORMATS, shown
from commands.console import data_option, folder_of, quiet, run, say, show_json

if TYPE_CHECKING:
    from commands.batch.journal import Journal
    from commands.batch.leaving import Leaving
    from commands.batch.manifest import Entry
    from commands.batch.report import Report
    from commands.batch.runner import Runner
    from commands.server import Server

_COULD_NOT = 2
_LOCAL_POLL_S, _REMOTE_POLL_S = 1.0, 5.0


class CouldNotRun(click.ClickException):
    """With what to do instead."""

    exit_code = _COULD_NOT


class Wish(msgspec.Struct, frozen=True):
    """What was asked for."""

    folder: Path
    formats: tuple[str, ...]
    language: str | None
    resume: bool
    as_json: bool


HELP = """Transcribe many recordings: all of a FOLDER, or those that a LIST names.

\b
A list is CSV with a first line of column names, or a JSON object per line:
  reference_id  your name for it; names its results. [default: file or url]
  file          path, from the list's folder    (one of file
  url           https address                    and url)
  language      such as en. [default: --language]

The list is checked before anything is sent, and mistakes are named by their lines. Each recording gets a file per format in --out, and
report.json tells what became of all: status, error code, seconds, cost, files.

Ctrl-C leaves; the server goes on with what it has, and the same command with --resume comes back to it. Twice: it is cancelled. Nothing
that is finished is done, or charged, again.

\b
Exit status: 0 all transcribed, 1 some failed, 2 none or could not run, 130 interrupted.

\b
Examples:
  tiro batch recordings/ --out results/
  tiro batch talks.csv --out results/ --format vtt --format json
  tiro batch talks.csv --out results/ --resume
"""


@click.command(help=HELP, short_help="Transcribe a folder or a list of recordings.")
@click.argument("manifest", type=click.Path(path_type=Path), metavar="FOLDER|LIST.csv|LIST.jsonl")
@click.option(
    "--out", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--resume", is_flag=True, help="Go on where an earlier call with this --out left off; retry what failed.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Repeatable. [default: txt]")
@click.option("--language", default="auto", show_default=True, help="Of recordings for which the list names none.")
@click.option("--server", envvar="TIRO_SERVER", help="Address of a server. [default: this machine's]")
@click.option("--key", envvar="TIRO_KEY", help="API key for --server.")
@data_option
@click.option(
    "--json", "as_json", is_flag=True, help="The report as one line of JSON on standard output, and no words."
)
def batch(
    manifest: Path,
    folder: Path,
    formats: tuple[str, ...],
    language: str,
    server: str | None,
    key: str | None,
    data: Path | None,
    *,
    resume: bool,
    as_json: bool,
) -> None:
    """What HELP says."""
    from commands.batch.manifest import entries_of
    from tiro.model.languages import LANGUAGES

    if language != "auto" and language not in LANGUAGES:
        raise click.UsageError(f"{language!r} is no code of a language: write en, de, … or auto.")
    entries, others = entries_of(manifest)
    if others and not as_json:
        kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in others.most_common(5))
        say(f"Left out, as no recordings: {kinds}.")
    wanted = tuple(dict.fromkeys(formats)) or ("txt",)
    wish = Wish(folder, wanted, None if language == "auto" else language, resume, as_json)
    raise SystemExit(run(_batch(entries, wish, data, server, key), "error"))


async def _batch(entries: list[Entry], wish: Wish, data: Path | None, url: str | None, key: str | None) -> int:
    from commands.batch.journal import Journal
    from commands.batch.leaving import INTERRUPTED, Leaving
    from commands.batch.report import lines_of
    from commands.server import server_for

    with Journal(wish.folder).held() as journal, Leaving() as leaving:
        _check_resume(journal, wish)
        try:
            async with server_for(folder_of(data), url, key, quiet if wish.as_json else say) as server:
                _check_place(journal, server, url or str(folder_of(data).path))
                await _work(entries, wish, server, journal, leaving)
        finally:
            report = _reported(entries, wish, journal)
    if wish.as_json:
        show_json(report)
    else:
        for line in lines_of(report, wish.folder):
            say(line)
    return INTERRUPTED if leaving.asked.is_set() else report.status


def _check_resume(journal: Journal, wish: Wish) -> None:
    """What was begun is not begun again by accident: it would be charged again."""
    if journal.handovers and not wish.resume:
        done = sum(result.state == "completed" for result in journal.results.values())
        total = len({reference for handover in journal.handovers.values() for reference in handover.stamps})
        where = shown(str(wish.folder))
        raise CouldNotRun(
            f"{where} holds a batch that was begun before: {done} of {total} recordings are done. "
            "Go on with it by adding --resume, or name another folder with --out."
        )


def _check_place(journal: Journal, server: Server, place: str) -> None:
    """A batch lies at one server, under one key."""
    from commands.batch.journal import Begun

    now = Begun(place.rstrip("/"), hashlib.sha256(server.key.encode()).hexdigest()[:16])
    if journal.begun is None or not journal.handovers:
        # where no server has taken anything, nothing has begun
        journal.add(now)
    elif journal.begun.server != now.server:
        where = shown(journal.begun.server)
        raise CouldNotRun(f"This batch was begun at {where}: name that one with --server or --data, or another --out.")
    elif journal.begun.key != now.key:
        raise CouldNotRun("This batch was begun with another key: use that one, or name another folder with --out.")


async def _work(entries: list[Entry], wish: Wish, server: Server, journal: Journal, leaving: Leaving) -> None:
    from commands.batch.board import Board
    from commands.batch.client import BatchClient
    from commands.batch.plan import plan_of
    from commands.batch.results import Results
    from commands.batch.runner import Runner

    client = BatchClient(server)
    results = Results(wish.folder, wish.formats, journal)
    try:
        with Board(silent=wish.as_json) as board:
            poll_s = _LOCAL_POLL_S if server.local else _REMOTE_POLL_S
            runner = Runner(client, journal, results, board, language=wish.language, every_s=poll_s)

            async def whole() -> None:
                await runner.look_back()
                plan = plan_of(entries, journal, wish.folder, wish.formats)
                board.begin(len(entries) - len(plan.kept), len(plan.kept))
                await runner.run(plan, {entry.reference: entry for entry in entries})

            finished = await _until_left(whole(), leaving)
        if not finished:
            await _leave(runner, journal, leaving, wish, local=server.engines != ())
    finally:
        await client.close()


async def _until_left(work: Coroutine[Any, Any, None], leaving: Leaving) -> bool:
    """Whether it came to its end."""
    task = asyncio.create_task(work)
    asked = asyncio.create_task(leaving.asked.wait())
    await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait((task,))
    return False


async def _leave(runner: Runner, journal: Journal, leaving: Leaving, wish: Wish, *, local: bool) -> None:
    tell = quiet if wish.as_json else say
    open_ones = [one for one in journal.handovers.values() if one.open and one.job_id]
    names = ", ".join(one.job_id or "" for one in open_ones)
    if not open_ones:
        names, where = "nothing", "is under way at the server yet"
    elif any(one.started for one in open_ones):
        where = "goes on when a server runs here again" if local else "goes on at the server"
    else:
        where = "waits a day for what is not uploaded yet"
    tell(f"Leaving: {names} {where}. Come back with the same command and --resume. Ctrl-C again within 5 s cancels it.")
    if await leaving.cancels():
        await runner.cancel()
        tell("Cancelled.")


def _reported(entries: list[Entry], wish: Wish, journal: Journal) -> Report:
    from commands.batch.report import report_of, write_report

    report = report_of(entries, journal, wish.folder, wish.formats)
    if journal.handovers:
        write_report(report, wish.folder)
    return report
