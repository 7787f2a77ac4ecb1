"""A folder of results in the middle of a batch, as earlier calls have left it."""

from __future__ import annotations

from pathlib import Path

from commands.batch.journal import Asked, Created, Ended, Journal, Result, Started
from commands.batch.manifest import Entry
from commands.batch.places import place_of


def entry(reference: str, stamp: str = "5:1", size_bytes: int = 5) -> Entry:
    return Entry(reference=reference, file=Path(reference), size_bytes=size_bytes, stamp=stamp)


def hand_over(journal: Journal, ask: str, *entries: Entry, started: bool = True) -> None:
    """To a server that has not said what became of it."""
    journal.add(Asked(ask, {one.reference: one.stamp for one in entries}))
    journal.add(Created(ask, f"job_{ask}"))
    if started:
        journal.add(Started(ask))


def end(journal: Journal, ask: str, folder: Path, completed: list[str], failed: list[str]) -> None:
    """With text files for those that are completed."""
    for reference in completed:
        place = folder / place_of(reference, "txt")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("said")
        journal.add(Result(ask, reference, "completed", seconds=3, cost=0.000125))
    for reference in failed:
        journal.add(Result(ask, reference, "failed", code="failed_import", message="It could not be fetched."))
    journal.add(Ended(ask, "completed_with_errors" if failed else "completed"))
