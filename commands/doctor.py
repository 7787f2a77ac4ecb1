"""`tiro doctor`: what would keep this server from working, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from commands.console import data_option, folder_of, json_option, run, show_json

if TYPE_CHECKING:
    from commands.subject import Finding

_SIGNS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}


@click.command(short_help="Say what this machine lacks, and what to do about it.")
@click.option(
    "--measure",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="RECORDING",
    help="Also transcribe this recording and say how fast this machine is. Loads the model.",
)
@data_option
@json_option
def doctor(measure: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Check what the service needs (Temporal, database, store, engines, voices, downloads, clock, scratch space) and what weakens it.

    Looks at the data folder's embedded server, or with TIRO_DATABASE_URL set at what the environment names. Ends with 1 when a check
    fails; docs/operations.md lists the codes.
    """
    findings = run(_findings(data, measure), "error")
    if as_json:
        show_json(findings)
    else:
        _print(findings)
    raise SystemExit(int(any(finding.level == "fail" for finding in findings)))


async def _findings(data: Path | None, recording: Path | None) -> list[Finding]:
    from commands.findings import examine
    from commands.subject import subject_at_scale, subject_of_folder

    at_scale = os.environ.get("TIRO_DATABASE_URL")
    subject = subject_at_scale(os.environ) if at_scale else subject_of_folder(folder_of(data), os.environ)
    found = await examine(subject)
    if recording is not None and "engine" in {finding.code for finding in found}:
        from commands.measuring import measure

        found += await measure(subject.settings, recording)
    return found


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{_SIGNS[finding.level]}  {finding.code:<24} {escape(finding.text)}")
        if finding.fix:
            console.print(f"      {'':<24} -> {escape(finding.fix)}")
