"""How a run ends, exactly once: state, charge, slot and webhook in one transaction, whoever asks and however often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from tiro.model.blob import event_key, transcript_key
from tiro.model.customs import CUSTOMS
from tiro.model.errors import NotFound
from tiro.model.hook import Delivery, DeliveryTask, delays_s
from tiro.model.ids import ulid
from tiro.model.job import Ending, Job, Order, Outcome
from tiro.model.plans import Plans
from tiro.model.request import is_brought
from tiro.model.upload import WRITTEN_WITHIN
from tiro.ports import Blobs, Clock, Records, Transaction
from tiro.render.documents import DOCUMENTS
from tiro.render.events import EVENTS, Occasion
from tiro.render.outcomes import FAILED
from tiro.services.billing import Billing
from tiro.sign.passes import RESULTS_LIVE, Passes

SOURCE_KEPT_FOR = timedelta(hours=23)
"""The sweep runs every ten minutes: the source is gone well within the promised 24 hours."""
CANCELLED_SWEPT_AFTER = timedelta(minutes=10)
"""A cancelled job is emptied at once, and looked at again for what a lost attempt may still have written.
One whose client had addresses to write to is looked at when none of them can be used any more."""


PUBLIC_CODES = frozenset(FAILED) | {
    "invalid_audio",
    "quota_exceeded",
    "source_unavailable",
    "file_too_large",
    "unsupported_language",
    "transient_error",
}
"""What a failed job may be said to have failed of."""
_OF_UPLOADS = frozenset({"upload_missing", "upload_size_mismatch", "upload_expired"})


class Fault(msgspec.Struct, frozen=True):
    """Why a run failed, in public words: code, reason, and extras that are safe to show."""

    code: str
    reason: str | None = None
    extras: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)


class Settled(msgspec.Struct, frozen=True):
    """The job as it ended, and the delivery that tells its owner. `newly`: this call ended it."""

    job: Job
    delivery: Delivery | None = None
    newly: bool = False


class Endings:
    """Ends runs. The ledger, the slot and the webhook follow from the one conditional change of state."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        clock: Clock,
        plans: Plans,
        wake: Callable[[], None],
        *,
        public_url: str,
        passes: Passes,
        hook_scale: float = 1.0,
    ) -> None:
        self._records = records
        self._blobs = blobs
        self._clock = clock
        self._wake = wake
        self._passes = passes
        self._public_url = public_url
        self._hook_scale = hook_scale
        self._billing = Billing(plans)

    async def end(
        self, job_id: str, run: int, outcome: Outcome, fault: Fault | None = None, orders: Sequence[Order] = ()
    ) -> Settled:
        """End this run, with what else is to be ordered then; or return how it had ended. Raises NotFound when there is no such job.

        A fault of what was to be brought ends it only while that is awaited: what has arrived meanwhile was found good by somebody else.
        """
        told = public(fault) if fault else None
        settled = None
        while settled is None:
            settled = await self._try(job_id, run, outcome, told, orders)
        self._wake()  # a slot is free, and an event may wait
        return settled

    async def _try(
        self, job_id: str, run: int, outcome: Outcome, told: Fault | None, orders: Sequence[Order]
    ) -> Settled | None:
        """None: the run began while its end was prepared; nothing ends before it began, so all is looked at anew."""
        async with self._records.begin() as tx:
            job = await tx.jobs.get(job_id)
            if job is None:
                raise NotFound("job_not_found", "There is no such job.")
            if job.run != run or job.ended or _has_arrived(job, told):
                return await _as_it_ended(tx, job)
        if outcome == "completed" and await asyncio.to_thread(self._without_result, job):
            outcome, told = "failed", Fault("result_missing")
        # the clock that it began by may be another machine's
        now = max(self._clock.now(), job.started_at or job.created_at)
        delivery = await self._delivery(job, outcome, told, now)
        async with self._records.begin() as tx:
            settled = await self._end(tx, job, outcome, told, now, delivery)
            if settled is not None and settled.newly:
                for order in orders:
                    await tx.jobs.add_order(order)
        return settled

    async def _end(
        self, tx: Transaction, job: Job, outcome: Outcome, told: Fault | None, now: datetime, delivery: Delivery | None
    ) -> Settled | None:
        """One transaction: the job's state (which decides), the balance, the slot, the event and its order."""
        # locked before its hold, as where its length becomes known: nothing is held for it from here on
        run, job = job.run, await tx.jobs.lock(job.job_id) or job
        if job.run != run or job.ended or _has_arrived(job, told):
            return await _as_it_ended(tx, job)
        if job.started_at is not None and job.started_at > now:
            return None
        bill = await self._billing.close(tx, job, outcome, now)
        kept_for = CUSTOMS[job.dialect].kept_for
        ending = Ending(
            outcome=outcome,
            error_code=told.code if told else None,
            error_reason=told.reason if told else None,
            error_extras=told.extras if told else {},
            billed_s=bill.billed_s,
            overage_s=bill.overage_s,
            cost_micros=bill.cost_micros,
            balance_micros=bill.balance_micros,
            # a file of a batch goes with its batch
            expires_at=None if kept_for is None or job.batch_id is not None else now + kept_for,
        )
        purge_after = now + (_swept_after(job) if outcome == "cancelled" else SOURCE_KEPT_FOR)
        ended = await tx.jobs.finish(job.job_id, job.run, ending, now, purge_after)
        if ended is None:
            return await _as_it_ended(tx, await tx.jobs.get(job.job_id) or job)
        if delivery is not None:
            await tx.hooks.add(delivery)
            await tx.jobs.add_order(Order("delivery", job.job_id, job.run, delivery.event_id))
        return Settled(ended, delivery, newly=True)

    def delivery_task(self, delivery: Delivery) -> DeliveryTask:
        """What the delivery's workflow is told; what is late is no reason to go on longer."""
        late_s = max(0.0, (self._clock.now() - delivery.created_at).total_seconds())
        return DeliveryTask(delivery.event_id, delays_s(delivery.dialect, self._hook_scale, late_s))

    def _without_result(self, job: Job) -> bool:
        """Where the document is made from the transcript when it is fetched, it must be there before anybody pays for it."""
        made_later = job.dialect in DOCUMENTS and not job.is_batch
        return made_later and self._blobs.head(transcript_key(job.job_id)) is None

    async def _delivery(self, job: Job, outcome: Outcome, told: Fault | None, now: datetime) -> Delivery | None:
        """The event, its body in the store already: no transaction waits for the store. Without its row it goes with the job."""
        if job.webhook_url is None:
            return None
        as_ended = msgspec.structs.replace(
            job,
            state=outcome,
            ended_at=now,
            changed_at=now,
            error_code=told.code if told else None,
            error_reason=told.reason if told else None,
            error_extras=told.extras if told else {},
        )
        event_id = event_id_of(job, now)
        link = self._passes.result_url(job.job_id, now)
        event, body = EVENTS[job.dialect](as_ended, Occasion(event_id, self._public_url, link, now + RESULTS_LIVE))
        ref = await asyncio.to_thread(self._blobs.put, event_key(job.job_id, event_id), body, "application/json")
        return Delivery(
            event_id=event_id,
            job_id=job.job_id,
            account_id=job.account_id,
            dialect=job.dialect,
            event=event,
            url=job.webhook_url,
            scheme=job.dialect,
            body=ref,
            created_at=now,
            next_attempt_at=now,
        )


def public(fault: Fault) -> Fault:
    """What the owner is told: a code of the API. What is wrong inside is for them a passing error, its own code the reason."""
    if fault.code == "quota_exceeded" and "overage_allowed" not in fault.extras:
        # an engine's provider refuses for money: overage here would not help
        return Fault(fault.code, "engine_quota", {**fault.extras, "overage_allowed": False})
    if fault.code in PUBLIC_CODES:
        return fault
    return Fault("transient_error", fault.reason or fault.code)


def event_id_of(job: Job, ended_at: datetime) -> str:
    """One event per (job, run): the random part of its id is their digest, so that twice is the same."""
    return "evt_" + ulid(int(ended_at.timestamp() * 1000), sha256(f"{job.job_id}/{job.run}".encode()).digest()[:10])


def _swept_after(job: Job) -> timedelta:
    return WRITTEN_WITHIN if is_brought(job.source) else CANCELLED_SWEPT_AFTER


def _has_arrived(job: Job, told: Fault | None) -> bool:
    """Whether it is too late to say that nothing, or something else, was brought."""
    return told is not None and told.code in _OF_UPLOADS and not job.awaiting


async def _as_it_ended(tx: Transaction, job: Job) -> Settled:
    pending = [delivery for delivery in await tx.hooks.of_job(job.job_id) if delivery.state == "pending"]
    return Settled(job, pending[-1] if pending else None)
