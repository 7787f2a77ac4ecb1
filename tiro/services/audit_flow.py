"""Do the records agree with Temporal? What they call under way is, nothing else is, and no order lies about."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from tiro.model.audit import Finding, JobLine
from tiro.model.job import Order
from tiro.ports import Clock, Orchestrator, Records

T = TypeVar("T")
YOUNG = timedelta(minutes=10)
"""So long something may take its time: a workflow that ends after its job, an order while Temporal was away."""
LATE = timedelta(minutes=1)
_PAGE = 500
_AT_ONCE = 16
"""Questions to Temporal."""


class FlowAudit:
    """Visibility lags, and so it only names suspects; each is judged by `describe`."""

    def __init__(self, records: Records, orchestrator: Orchestrator, clock: Clock) -> None:
        self._records = records
        self._orchestrator = orchestrator
        self._clock = clock

    async def look(self, only: Collection[str] | None, compared: Counter[str]) -> list[Finding]:
        """All of it again, whatever is asked for: what is under way is bounded by slots. Raises Transient."""
        now = self._clock.now()
        listed = await self._orchestrator.under_way()
        compared["workflows"] += len(listed)
        return [
            *await self._runs(compared),
            *await self._workflows(listed, now),
            *await self._orders(now),
            *await self._deliveries(now, compared),
        ]

    async def _runs(self, compared: Counter[str]) -> list[Finding]:
        """What the records call under way."""

        async def lost(line: JobLine) -> Finding | None:
            if await self._orchestrator.is_running(line.job_id, line.run):
                return None
            return Finding("run_lost", f"{line.job_id}/{line.run}", line.state, "a workflow that is under way")

        found: list[Finding] = []
        async for page in self._pages_under_way():
            compared["runs"] += len(page)
            found += await _each(page, lost)
        return found

    async def _workflows(self, listed: list[tuple[str, int]], now: datetime) -> list[Finding]:
        """What Temporal calls under way."""
        suspects: list[tuple[str, int, str]] = []
        for page in _pieces(listed, _PAGE):
            async with self._records.begin() as tx:
                lines = await tx.books.lines_of([job_id for job_id, _ in page])
            for job_id, run in page:
                why = _unwanted(lines.get(job_id), run, now)
                if why is not None:
                    suspects.append((job_id, run, why))

        async def left(suspect: tuple[str, int, str]) -> Finding | None:
            job_id, run, why = suspect
            if not await self._orchestrator.is_running(job_id, run):
                return None
            return Finding("workflow_left", f"{job_id}/{run}", why, "no workflow")

        return await _each(suspects, left)

    async def _orders(self, now: datetime) -> list[Finding]:
        """Those of things that have not changed for long: a relay carries them out within seconds."""
        async with self._records.begin() as tx:
            orders = await tx.jobs.orders(limit=2 * _PAGE)
            lines = await tx.books.lines_of([order.job_id for order in orders])
        return [
            Finding("order_stands", _name(order), order.kind, "carried out")
            for order in orders
            if (line := lines.get(order.job_id)) is None or line.changed_at < now - YOUNG
        ]

    async def _deliveries(self, now: datetime, compared: Counter[str]) -> list[Finding]:
        async def lost(event_id: str) -> Finding | None:
            if await self._orchestrator.is_delivering(event_id):
                return None
            return Finding("delivery_lost", event_id, "pending, and nobody is at it", "a workflow that is under way")

        found: list[Finding] = []
        after = ""
        while True:
            async with self._records.begin() as tx:
                page = await tx.books.late_events(now - LATE, after, _PAGE)
            compared["late_events"] += len(page)
            found += await _each(page, lost)
            if len(page) < _PAGE:
                return found
            after = page[-1]

    async def _pages_under_way(self) -> AsyncIterator[list[JobLine]]:
        after = ""
        while True:
            async with self._records.begin() as tx:
                page = await tx.books.under_way(after, _PAGE)
            yield page
            if len(page) < _PAGE:
                return
            after = page[-1].job_id


def _unwanted(line: JobLine | None, run: int, now: datetime) -> str | None:
    """Why nothing of this run should be under way; None: it may be."""
    if line is None:
        return "no such job"
    if line.run == run and not line.ended:
        return None
    if line.changed_at >= now - YOUNG:
        return None
    return line.state if line.run == run else f"at run {line.run}"


def _name(order: Order) -> str:
    return order.event_id or f"{order.job_id}/{order.run} {order.kind}"


async def _each(subjects: Sequence[T], judge: Callable[[T], Awaitable[Finding | None]]) -> list[Finding]:
    """A few at once."""
    found: list[Finding] = []
    for some in _pieces(subjects, _AT_ONCE):
        found += filter(None, await asyncio.gather(*(judge(one) for one in some)))
    return found


def _pieces(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (whole[begin : begin + size] for begin in range(0, len(whole), size))
