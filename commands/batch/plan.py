"""What is still to be done? The recordings that are wished, against what the folder of results has and knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from commands.batch.journal import Handover, Journal
from commands.batch.manifest import Entry
from commands.batch.places import place_of

MOST_FILES = 10_000
MOST_BYTES = 10 * 1024**3
"""Of one batch of the server."""


class Plan(msgspec.Struct, frozen=True):
    """`fresh`: to be handed over, each tuple one batch of the server; `open`: handed over, not ended; `fetch`: results to be read again."""

    kept: tuple[Entry, ...]
    fresh: tuple[tuple[Entry, ...], ...]
    open: tuple[Handover, ...]
    fetch: tuple[Handover, ...]


def plan_of(entries: Sequence[Entry], journal: Journal, folder: Path, formats: Sequence[str]) -> Plan:
    """Nothing is done twice: what is finished stays, what is under way goes on, what failed or changed is tried anew."""
    kept: list[Entry] = []
    fresh: list[Entry] = []
    fetch: dict[str, Handover] = {}
    for entry in entries:
        handover = journal.handover_of(entry.reference)
        if handover is None or handover.stamps[entry.reference] != stamp_of(entry):
            fresh.append(entry)
        elif handover.open:
            continue
        elif not _completed(entry, handover, journal):
            fresh.append(entry)
        elif all((folder / place_of(entry.reference, form)).is_file() for form in formats):
            kept.append(entry)
        else:
            fetch[handover.ask] = handover
    under_way = tuple(one for one in journal.handovers.values() if one.open)
    return Plan(tuple(kept), tuple(_batches(fresh)), under_way, tuple(fetch.values()))


def stamp_of(entry: Entry) -> str:
    """Changes when the recording is another one. What stands behind `?` in an address is its signature, new every time, and a secret."""
    return entry.stamp if entry.url is None else entry.url.partition("?")[0]


def _completed(entry: Entry, handover: Handover, journal: Journal) -> bool:
    result = journal.results.get(entry.reference)
    return result is not None and result.ask == handover.ask and result.state == "completed"


def _batches(entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
    """As few as the server's limits allow."""
    batch: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        if batch and (len(batch) == MOST_FILES or size_bytes + entry.size_bytes > MOST_BYTES):
            yield tuple(batch)
            batch, size_bytes = [], 0
        batch.append(entry)
        size_bytes += entry.size_bytes
    if batch:
        yield tuple(batch)
