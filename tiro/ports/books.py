"""What an audit asks of the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from tiro.model.audit import Difference, JobLine


class Books(Protocol):
    """Whatever is added up is added up in one statement: what is being changed meanwhile shows before or after it, never half."""

    async def totals(self) -> dict[str, int]:
        """How many rows there are of what is compared."""
        ...

    async def slots(self) -> list[Difference]:
        """Accounts whose `running` is not the number of their admitted jobs."""
        ...

    async def months(self) -> list[Difference]:
        """Balances of minutes that are not the sums of their entries; the subject is `<account> <month>`."""
        ...

    async def minutes_held(self) -> list[Difference]:
        """Jobs for whose runs minutes are held although they are not under way."""
        ...

    async def minutes_charged(self, dialects: Collection[str]) -> list[Difference]:
        """Ended jobs of these dialects whose `billed_s` or `overage_s` is not what was captured."""
        ...

    async def wallets(self) -> list[Difference]:
        """Wallets that are not the sums of their entries."""
        ...

    async def money_held(self) -> list[Difference]:
        """Jobs for whose runs money is held although they are not under way."""
        ...

    async def money_charged(self, dialects: Collection[str]) -> list[Difference]:
        """Ended jobs of these dialects whose `billed_s` or `cost_micros` is not what was captured; a batch is charged for all its runs."""
        ...

    async def batches(self, before: datetime) -> list[Difference]:
        """Batches that count their files wrongly, are charged other seconds than were completed, or left files open `before` that."""
        ...

    async def events(self) -> list[Difference]:
        """Jobs with a webhook that have not one event for each run that has ended."""
        ...

    async def late_events(self, before: datetime, after: str, limit: int) -> list[str]:
        """Events whose next attempt was due before that moment, in the order of their ids; without those that are still ordered."""
        ...

    async def lines(self, after: str, limit: int) -> list[JobLine]:
        """Jobs in the order of their ids, deleted ones too, without files of batches."""
        ...

    async def lines_of(self, job_ids: Sequence[str]) -> dict[str, JobLine]:
        """Those that there are of these, files of batches too."""
        ...

    async def under_way(self, after: str, limit: int) -> list[JobLine]:
        """Jobs that Temporal should know, in the order of their ids: processing, or admitted and no longer ordered."""
        ...

    async def uploads(self, job_ids: Sequence[str]) -> set[str]:
        """Which of these have an open upload."""
        ...
