"""How ordered things come to begin: free slots go to waiting jobs, and Temporal is told what it has not been told yet."""

from __future__ import annotations

import logging

from tiro.model.account import Account
from tiro.model.errors import Permanent
from tiro.model.job import Job, Order
from tiro.model.plans import PlanMissing, Plans
from tiro.ports import Clock, Launch, Orchestrator, Records
from tiro.services.ending import Endings

log = logging.getLogger("tiro.dispatch")


class Dispatch:
    """One pass: admit, look ahead, then carry out orders. Passes may overlap, in one process or several: everything is told by id, once."""

    def __init__(
        self, records: Records, orchestrator: Orchestrator, endings: Endings, plans: Plans, clock: Clock
    ) -> None:
        self._records = records
        self._orchestrator = orchestrator
        self._endings = endings
        self._plans = plans
        self._clock = clock

    async def once(self) -> int:
        """How many orders were carried out. Raises Transient when the database or Temporal is away: the rest waits."""
        async with self._records.begin() as tx:
            await tx.jobs.admit(self._clock.now(), self._plans.max_jobs())
            await tx.jobs.order_fetches(self._plans.max_jobs())
        async with self._records.look() as tx:
            orders = await tx.jobs.orders()
        done = 0
        for order in orders:
            try:
                await self._carry_out(order)
                done += 1
            except (Permanent, PlanMissing):
                log.exception("order %s of %s cannot be carried out; it stays", order.kind, order.job_id)
        return done

    async def _carry_out(self, order: Order) -> None:
        match order.kind:
            case "transcription" | "batch":
                await self._start(order)
            case "fetch":
                await self._fetch(order)
            case "delivery":
                await self._deliver(order)
            case "cancel":
                await self._orchestrator.cancel(order.job_id, order.run)
        async with self._records.begin() as tx:
            await tx.jobs.drop_order(order)

    async def _start(self, order: Order) -> None:
        wanted = await self._wanted(order)
        if wanted is None:
            return
        if order.kind == "batch":
            await self._orchestrator.start_batch(self._launch(*wanted))
        else:
            await self._orchestrator.start_transcription(self._launch(*wanted))

    async def _fetch(self, order: Order) -> None:
        """Only what still waits: with a slot its run fetches for itself."""
        wanted = await self._wanted(order)
        if wanted is not None and not wanted[0].admitted:
            await self._orchestrator.start_fetch(self._launch(*wanted))

    async def _wanted(self, order: Order) -> tuple[Job, Account] | None:
        """None: the run has ended meanwhile, or another has followed it."""
        async with self._records.look() as tx:
            job = await tx.jobs.get(order.job_id)
            account = await tx.accounts.get(job.account_id) if job else None
        if job is None or account is None or job.ended or job.run != order.run:
            return None
        return job, account

    def _launch(self, job: Job, account: Account) -> Launch:
        return Launch(
            job_id=job.job_id,
            run=job.run,
            account_id=job.account_id,
            dialect=job.dialect,
            weight=self._plans.of(account).weight,
            priority=job.priority,
            flags=flags_of(job),
            summary=summary_of(job),
        )

    async def _deliver(self, order: Order) -> None:
        async with self._records.look() as tx:
            delivery = await tx.hooks.get(order.event_id)
        if delivery is not None and delivery.state == "pending":
            await self._orchestrator.start_delivery(delivery, self._endings.delivery_task(delivery))


def flags_of(job: Job) -> tuple[str, ...]:
    """What an operator filters by; never content."""
    flags = (
        ("diarize", job.options.diarize),
        ("webhook", job.webhook_url is not None),
        ("batch", job.is_batch),
    )
    return tuple(name for name, holds in flags if holds)


def summary_of(job: Job) -> str:
    """One line for the Temporal UI: what is asked, not what is said."""
    what = "transcribe" if job.files_total is None else f"{job.files_total} files"
    pieces = [what, job.options.language or "auto"]
    if job.options.diarize:
        pieces.append("diarize")
    return " · ".join([*pieces, job.dialect])
