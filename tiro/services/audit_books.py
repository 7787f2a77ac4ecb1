"""Do the records agree with themselves? Balances with entries, slots with jobs, batches with files, events with ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

from tiro.model.audit import Difference, Finding
from tiro.model.customs import CUSTOMS, Purse
from tiro.ports import Clock, Records, Transaction

Asking = Callable[[Transaction], Awaitable[Sequence[Difference]]]
CHILDREN_END_WITHIN = timedelta(minutes=10)
"""A cancelled batch ends at once, its long files when their workers have noticed."""


class BookAudit:
    """One transaction for each question: nobody waits for all of them."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def look(self, only: Collection[str] | None, compared: Counter[str]) -> list[Finding]:
        """All of it again, whatever is asked for: the database does the work. Raises Transient."""
        async with self._records.begin() as tx:
            compared.update(await tx.books.totals())
        found: list[Finding] = []
        for kind, asking in self._askings():
            async with self._records.begin() as tx:
                found += [_finding(kind, one) for one in await asking(tx)]
        return found

    def _askings(self) -> list[tuple[str, Asking]]:
        before = self._clock.now() - CHILDREN_END_WITHIN
        return [
            ("slots", lambda tx: tx.books.slots()),
            ("minutes", lambda tx: tx.books.months()),
            ("minutes_held", lambda tx: tx.books.minutes_held()),
            ("minutes_charged", lambda tx: tx.books.minutes_charged(_paid_by("minutes"))),
            ("wallet", lambda tx: tx.books.wallets()),
            ("wallet_held", lambda tx: tx.books.money_held()),
            ("wallet_charged", lambda tx: tx.books.money_charged(_paid_by("wallet"))),
            ("batch", lambda tx: tx.books.batches(before)),
            ("events", lambda tx: tx.books.events()),
        ]


def _paid_by(purse: Purse) -> list[str]:
    return [dialect for dialect, custom in CUSTOMS.items() if custom.purse == purse]


def _finding(kind: str, found: Difference) -> Finding:
    return Finding(kind, found.subject, f"{found.what} {found.there}", f"{found.what} {found.should}")
