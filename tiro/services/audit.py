"""Do database, Temporal, store and ledgers agree? Everything is looked at twice: what is told stood in both looks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from tiro.model.audit import Audited, Finding
from tiro.model.errors import Transient
from tiro.model.plans import Plans
from tiro.ports import Blobs, Clock, Orchestrator, Records
from tiro.services.audit_books import BookAudit
from tiro.services.audit_flow import FlowAudit
from tiro.services.audit_store import StoreAudit

log = logging.getLogger("tiro.audit")

PAUSE = timedelta(seconds=6)
"""Longer than a relay waits between two rounds."""


class Question(Protocol):
    """One of the places that are compared with the records."""

    async def look(self, only: Collection[str] | None, compared: Counter[str]) -> list[Finding]:
        """What does not agree at this moment; of these subjects at least. Raises Transient when it cannot be asked."""
        ...


class Audit:
    """Compares, and changes nothing. What is under way while it looks is no finding."""

    def __init__(self, records: Records, blobs: Blobs, orchestrator: Orchestrator, clock: Clock, plans: Plans) -> None:
        self._records = records
        self._plans = plans
        self._questions: Mapping[str, Question] = {
            "records": BookAudit(records, clock),
            "temporal": FlowAudit(records, orchestrator, clock),
            "store": StoreAudit(records, blobs, clock),
        }

    async def look(self, compared: Counter[str] | None = None, pause: timedelta = PAUSE) -> Audited:
        """The whole of it. `compared` counts along, for who watches. What is away is said, and the rest is compared all the same."""
        counts = Counter[str]() if compared is None else compared
        unchecked: dict[str, str] = {}
        first = {name: await self._ask(name, None, counts, unchecked) for name in self._questions}
        standing: list[Finding] = []
        if any(first.values()):
            await asyncio.sleep(pause.total_seconds())
        for name, suspects in first.items():
            subjects = {one.subject for one in suspects}
            again = await self._ask(name, subjects, Counter(), unchecked) if suspects else []
            standing += _in_both(suspects, again)
        notes = () if "records" in unchecked else tuple(await self._notes())
        return Audited(tuple(standing), dict(counts), unchecked, notes)

    async def _ask(
        self, name: str, only: Collection[str] | None, compared: Counter[str], unchecked: dict[str, str]
    ) -> Sequence[Finding]:
        try:
            return await self._questions[name].look(only, compared)
        except Transient as away:
            log.info("%s cannot be compared: %s", name, away.code)
            unchecked[name] = away.message
            return ()

    async def _notes(self) -> list[str]:
        """An account may run more than its plan has room for only where the plan has become smaller."""
        caps = self._plans.max_jobs()
        async with self._records.begin() as tx:
            accounts = await tx.accounts.all()
        return [
            f"{one.account_id} runs {one.running} jobs, and its plan has room for {caps[one.plan]}"
            for one in accounts
            if one.running > caps.get(one.plan, one.running)
        ]


def _in_both(first: Sequence[Finding], again: Sequence[Finding]) -> list[Finding]:
    """As they were seen last."""
    seen = {(one.kind, one.subject) for one in first}
    return [one for one in again if (one.kind, one.subject) in seen]
