"""`tiro audit`: does everything agree, and if not, what does not?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from commands.console import data_option, folder_of, json_option, reaching, say, show_json, show_rows

if TYPE_CHECKING:
    from api.admin.wire import AuditRow
    from commands.reach import Reach

DISAGREES, UNCHECKED = 1, 2
_LOOK_EVERY_S = 0.2
_COLUMNS = {"kind": "KIND", "subject": "OF", "there": "THERE IS", "should": "THERE SHOULD BE"}


class _Unchecked(click.ClickException):
    """Nothing could be compared."""

    exit_code = UNCHECKED


@click.command(short_help="Compare records, Temporal, store and ledgers, and say what does not agree.")
@data_option
@json_option
def audit(data: Path | None, *, as_json: bool) -> None:
    """Compare the database with itself, with Temporal and with the store. Nothing is changed.

    What is found is looked at again a few seconds later: what is under way meanwhile is no finding. Ends with 0 when all agrees, with 1
    when something does not, and with 2 when it could not be checked. While no server runs on the data folder, Temporal is not asked.
    docs/operations.md lists what may be found.
    """
    stopped = not os.environ.get("TIRO_DATABASE_URL") and folder_of(data).holder() is None
    try:
        row = reaching(data, _audited)
    except click.ClickException as failed:
        raise _Unchecked(failed.message) from None
    if stopped and "temporal" in row.unchecked:
        away = {what: why for what, why in row.unchecked.items() if what != "temporal"}
        row = msgspec.structs.replace(
            row, unchecked=away, notes=[*row.notes, "No server runs: Temporal was not asked."]
        )
    if as_json:
        show_json({name: getattr(row, name) for name in ("findings", "compared", "unchecked", "notes")})
    else:
        _print(row)
    raise SystemExit(DISAGREES if row.findings else UNCHECKED if row.unchecked else 0)


async def _audited(there: Reach) -> AuditRow:
    from api.admin.wire import AuditRow

    number = (await there.post("/audits", AuditRow)).number
    console = Console(stderr=True)
    with console.status("Comparing ...") as status:
        while not (row := await there.get(f"/audits/{number}", AuditRow)).done:
            status.update(f"Comparing ... {_counted(row)}")
            await asyncio.sleep(_LOOK_EVERY_S)
    return row


def _print(row: AuditRow) -> None:
    if row.findings:
        show_rows(row.findings, _COLUMNS, as_json=False)
    for note in row.notes:
        say(note)
    for what, why in row.unchecked.items():
        say(f"Not compared: {what}. {why}")
    agrees = "the rest agrees" if row.unchecked else "all agrees"
    found = f"{len(row.findings)} findings" if row.findings else agrees
    if row.compared:
        say(f"Compared {_counted(row)}: {found}.")


def _counted(row: AuditRow) -> str:
    return ", ".join(f"{many} {what.replace('_', ' ')}" for what, many in row.compared.items())
