"""What the stations do to a job's record while it is under way. Every step asks whether this run is still wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tiro.model.blob import BlobRef
from tiro.model.errors import Permanent
from tiro.model.job import Job, JobPatch
from tiro.model.ledger import billable_seconds
from tiro.model.media import MediaLimits, SpanPlan
from tiro.model.pace import Hearing
from tiro.model.plans import Plans
from tiro.model.request import UrlSource, narrowed
from tiro.model.speech import EngineFacts, chosen
from tiro.ports import Blobs, Clock, Records, Vault
from tiro.services.billing import Billing

STALE_TRANSIENTS = 3
"""The third failure of one kind at one station is for good, unless it is one of these."""
_STALE_AFTER = {"source_unreachable": 7}
"""A stranger's server may be away for a minute: as stations are tried again, it is asked at 0, 1, 3, 7, 15, 31 and 61 s.
One that answers too slowly has had its time in each attempt."""
LOST_ATTEMPTS = 10
"""So many attempts in a row that end with their worker are the input's fault, not the weather's."""
_UNENDED = "attempt_unended"


class Superseded(Permanent):
    """This run is no longer the one that is wanted: it was cancelled, deleted or retried."""

    code = "superseded"


def stale_after(code: str) -> int:
    """So many failures of this kind at one station are for good."""
    return _STALE_AFTER.get(code, STALE_TRANSIENTS)


class Line:
    """The record's side of a run: begin, stages, the plan and its hold, spans done."""

    def __init__(
        self, records: Records, blobs: Blobs, vault: Vault, clock: Clock, plans: Plans, chain: Sequence[EngineFacts]
    ) -> None:
        self._records = records
        self._blobs = blobs
        self._vault = vault
        self._clock = clock
        self._chain = tuple(chain)
        self._plans = plans
        self._billing = Billing(plans)

    async def begin(self, job_id: str, run: int, claim: str) -> Job | None:
        """Claim the run for one workflow execution; None: it is not to be run."""
        async with self._records.begin() as tx:
            return await tx.jobs.claim(job_id, run, claim, self._clock.now())

    async def job(self, job_id: str, run: int) -> Job:
        """The job while this run of it is under way. Raises Superseded."""
        async with self._records.look() as tx:
            job = await tx.jobs.get(job_id)
        if job is None or job.run != run or job.ended or job.deleted_at is not None:
            raise Superseded
        return job

    async def limits(self, job: Job) -> MediaLimits:
        """The job's own caps, else the plan's as they are now; and what it may be made of."""
        return narrowed(job.limits or await self._caps_of_plan(job), job.options)

    async def _caps_of_plan(self, job: Job) -> MediaLimits:
        async with self._records.look() as tx:
            account = await tx.accounts.get(job.account_id)
        if account is None:
            raise Superseded
        return self._plans.of(account).limits

    async def engines(self, job: Job) -> tuple[str, ...]:
        """The job's chain: what it or its account asks for, else the server's; only what can do its language and task."""
        async with self._records.look() as tx:
            account = await tx.accounts.get(job.account_id)
        chain = chosen(self._chain, job.options.engines or (account.engines if account else ()))
        return tuple(facts.id for facts in chain if facts.can(job.options.language, job.options.task))

    def facts(self, engine: str) -> EngineFacts:
        """What is known of an engine of the chain. Raises Permanent `engine_unavailable`."""
        for facts in self._chain:
            if facts.id == engine:
                return facts
        raise Permanent("engine_unavailable", "This engine is not in the chain of this server.")

    def source_url(self, source: UrlSource) -> str:
        """The address, unsealed. Never logged."""
        return self._vault.open(source.sealed_url).decode()

    async def patch(self, job_id: str, run: int, patch: JobPatch) -> None:
        """Change the record. Raises Superseded."""
        async with self._records.begin() as tx:
            if not await tx.jobs.patch(job_id, run, patch, self._clock.now()):
                raise Superseded

    async def prepared(self, job: Job, plan: SpanPlan) -> None:
        """The recording's real length is known: write it and hold it. Raises QuotaExceeded, FundsShort, Superseded."""
        now = self._clock.now()
        patch = JobPatch(
            plan=plan.plan,
            decoded_s=plan.decoded_s,
            spans_total=len(plan.to_hear(job.options.vad)),
            warnings=plan.warnings,
        )
        async with self._records.begin() as tx:
            account = await tx.accounts.get(job.account_id)
            if account is None:
                raise Superseded
            # the job before its hold, as where a run ends: a run that has ended holds nothing any more
            if not await tx.jobs.patch(job.job_id, job.run, patch, now):
                raise Superseded
            await self._billing.hold(tx, account, job, billable_seconds(plan.decoded_s), now)

    def hearing(self, job: Job) -> Hearing:
        """A span of this job, as it stands, begins to be heard."""
        return Hearing(self._clock.now(), job.pace[-1].number if job.pace else 0)

    async def span_done(self, job_id: str, run: int, plan: str, index: int, hearing: Hearing | None = None) -> None:
        """One more span of this plan has its result, by this hearing or from before. Raises Superseded."""
        async with self._records.begin() as tx:
            if await tx.jobs.span_done(job_id, run, plan, index, self._clock.now(), hearing) is None:
                raise Superseded

    async def keep(self, job_id: str, run: int, ref: BlobRef) -> BlobRef:
        """After a write: remove it again when the job was given up meanwhile. Raises Superseded."""
        async with self._records.look() as tx:
            job = await tx.jobs.get(job_id)
        if job is None or job.deleted_at is not None or job.state == "cancelled":
            await asyncio.to_thread(self._blobs.delete, ref.key)
            raise Superseded
        if job.run != run:
            raise Superseded
        return ref

    async def is_stale(self, job_id: str, run: int, index: int, *, station: str, code: str) -> bool:
        """Count a failure; True when this kind has now happened too often here to be called passing."""
        async with self._records.begin() as tx:
            return await tx.jobs.count_failure(job_id, run, station, index, code) >= stale_after(code)

    async def attempt_begins(self, job_id: str, run: int, index: int, *, station: str) -> bool:
        """Count an attempt that has not ended yet; True when too many in a row never ended by themselves."""
        async with self._records.begin() as tx:
            return await tx.jobs.count_failure(job_id, run, station, index, _UNENDED) > LOST_ATTEMPTS

    async def attempt_ended(self, job_id: str, run: int, index: int, *, station: str) -> None:
        """It returned, failed, or was handed back: whatever comes next is counted anew."""
        async with self._records.begin() as tx:
            await tx.jobs.forget_failures(job_id, run, station, index, _UNENDED)
