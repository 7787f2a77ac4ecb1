"""How is a report shown to a person? A table on standard output, and the sentences below it."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from commands.bench.figures import Report

_THROUGH = {"engine": "decoder and engine", "line": "the whole line"}


def show(report: Report) -> None:
    """All of it."""
    # a pipe has no width: nothing is folded there
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 250)
    machine = report.machine
    where = f"{machine.cards} x {machine.device}" if machine.cards else f"{machine.cores} cores of {machine.device}"
    console.print(f"{escape(report.model)} on {escape(where)}, {machine.memory_bytes / 2**30:.1f} GiB free\n")
    console.print(_runs(report))
    if any(run.through == "line" for run in report.runs):
        console.print("(The whole line: from accepted to result.)")
    console.print(f"\nSlots of this machine: {report.speech_slots} for speech, {report.media_slots} for media.")
    if report.settings:
        console.print("\nTo keep it so, in tiro.toml (or TIRO_ names in the environment):")
        for line in report.settings:
            console.print(f"    {escape(line)}")
    for title, lines in (("Worth knowing", report.advice), ("Not measured", report.not_measured)):
        if lines:
            console.print(f"\n{title}:")
        for line in lines:
            console.print(f"  - {escape(line)}")


def _runs(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "through"):
        table.add_column(heading)
    for heading in ("audio", "took", "x real time", "files/s"):
        table.add_column(heading, justify="right")
    for run in report.runs:
        times = f"{run.files_per_s:.2f}" if run.files > 1 else ""
        name = f"{run.files} {run.what}" if run.files > 1 else run.what
        cells = (name, _THROUGH[run.through], f"{run.audio_s:.0f} s", f"{run.took_s:.1f} s", f"{run.x_real_time:.1f}")
        table.add_row(*cells, times)
    return table
