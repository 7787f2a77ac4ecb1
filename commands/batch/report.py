"""What became of all recordings, after this call and those before it? `report.json`, for programs, and a few lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from commands.batch.journal import Journal
from commands.batch.manifest import Entry
from commands.batch.places import REPORT, place_of, shown, write_whole
from commands.batch.plan import stamp_of

_NAMED = 20
_INTERRUPTED, _NOTHING, _SOME, _ALL = 130, 2, 1, 0


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """One recording. `pending`: it has no end yet. `outputs`: below the folder of results. `cost`: in dollars."""

    reference_id: str
    status: Literal["completed", "failed", "pending"]
    job_id: str | None = None
    seconds: int | None = None
    cost: float | None = None
    code: str | None = None
    error: str | None = None
    outputs: tuple[str, ...] = ()


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Of all recordings. `cost`: what was charged in all, also for what was done anew."""

    files: int
    completed: int
    failed: int
    pending: int
    seconds: int
    cost: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`report.json`."""

    totals: Totals
    files: list[FileReport]

    @property
    def status(self) -> int:
        """For the shell: all, some, or nothing."""
        if self.totals.completed == self.totals.files:
            return _ALL
        return _SOME if self.totals.completed else _NOTHING


def report_of(entries: Sequence[Entry], journal: Journal, folder: Path, formats: Sequence[str]) -> Report:
    """As it stands."""
    files = [_file(entry, journal, folder, formats) for entry in entries]
    count = {state: sum(file.status == state for file in files) for state in ("completed", "failed", "pending")}
    totals = Totals(
        files=len(files),
        completed=count["completed"],
        failed=count["failed"],
        pending=count["pending"],
        seconds=sum(file.seconds or 0 for file in files),
        cost=round(sum(handover.cost for handover in journal.handovers.values()), 6),
    )
    return Report(totals=totals, files=files)


def write_report(report: Report, folder: Path) -> None:
    """Raises NotWritten."""
    write_whole(folder / REPORT, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def lines_of(report: Report, folder: Path) -> list[str]:
    """What a person reads at the end."""
    totals = report.totals
    failed = [file for file in report.files if file.status == "failed"]
    lines = [f"{shown(file.reference_id)}: {file.error} ({file.code})" for file in failed[:_NAMED]]
    if len(failed) > _NAMED:
        lines.append(f"… and {len(failed) - _NAMED} more that failed")
    parts = [f"{totals.completed} of {totals.files} recordings transcribed"]
    parts += [f"{totals.failed} failed"] if totals.failed else []
    parts += [f"{totals.pending} to come"] if totals.pending else []
    cost = f", ${totals.cost:.6f}".rstrip("0").rstrip(".") if totals.cost else ""
    lines.append(f"{', '.join(parts)}; {totals.seconds} s of audio{cost}; results and {REPORT} in {shown(str(folder))}")
    if totals.failed and not totals.pending:
        lines.append("What failed is tried again by the same command with --resume.")
    return lines


def _file(entry: Entry, journal: Journal, folder: Path, formats: Sequence[str]) -> FileReport:
    handover = journal.handover_of(entry.reference)
    result = journal.results.get(entry.reference)
    if handover is None or handover.stamps[entry.reference] != stamp_of(entry):
        return FileReport(reference_id=entry.reference, status="pending")
    if result is None or result.ask != handover.ask:
        return FileReport(reference_id=entry.reference, status="pending", job_id=handover.job_id)
    places = [place_of(entry.reference, form) for form in formats]
    return FileReport(
        reference_id=entry.reference,
        status=result.state,
        job_id=handover.job_id,
        seconds=result.seconds,
        cost=result.cost,
        code=result.code,
        error=result.message,
        outputs=tuple(str(place) for place in places if result.state == "completed" and (folder / place).is_file()),
    )
