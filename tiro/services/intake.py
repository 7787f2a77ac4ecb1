"""How a request becomes a job: checked, its minutes or money held, and written in one transaction; Temporal hears of it later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from tiro.model.account import Account
from tiro.model.customs import CUSTOMS
from tiro.model.errors import Invalid, RateLimited, SourceRefused, Unauthenticated
from tiro.model.job import Job
from tiro.model.plans import Plans
from tiro.model.replay import Replay
from tiro.model.request import JobOptions, JobRequest, ManifestSource, UrlSource, awaits
from tiro.model.speech import EngineFacts, chosen
from tiro.ports import Clock, Courier, Fetcher, Ids, Records, Transaction, Vault
from tiro.services import replays
from tiro.services.billing import Billing
from tiro.services.hooks import sealed
from tiro.services.replays import Once

BUSY_RETRY_AFTER_S = 10
UPLOADS_RETRY_AFTER_S = 60


class Intake:
    """Takes jobs in. After `submit` returns the job cannot be lost, whatever else is down."""

    def __init__(
        self,
        records: Records,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        fetcher: Fetcher,
        courier: Courier,
        plans: Plans,
        chain: Sequence[EngineFacts],
        wake: Callable[[], None],
    ) -> None:
        self._records = records
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._fetcher = fetcher
        self._courier = courier
        self._chain = tuple(chain)
        self._wake = wake
        self._plans = plans
        self._billing = Billing(plans)

    def new_job_id(self) -> str:
        """Chosen before the bytes arrive, so that they lie below the job's prefix from the start."""
        return self._ids.new("job")

    def seal_url(self, url: str) -> UrlSource:
        """An address as a job keeps it."""
        return UrlSource(self._vault.seal(url.encode()))

    async def begin_upload(self, job_id: str, account_id: str) -> None:
        """Bytes are about to arrive; should this process die, upkeep removes them a day later."""
        async with self._records.begin() as tx:
            await tx.jobs.begin_upload(job_id, account_id, self._clock.now())

    async def drop_upload(self, job_id: str) -> None:
        """The bytes are gone again."""
        async with self._records.begin() as tx:
            await tx.jobs.drop_upload(job_id)

    async def check_source_url(self, url: str) -> None:
        """Raises Invalid `invalid_source_url` for what can be refused at once."""
        try:
            await asyncio.to_thread(self._fetcher.check, url)
        except SourceRefused as refused:
            raise Invalid(
                "invalid_source_url", "The source URL cannot be used.", param="source_url", reason=refused.reason
            ) from None

    async def check_webhook_url(self, url: str) -> None:
        """Raises Invalid `invalid_webhook_url` for an address that may not be called."""
        try:
            await asyncio.to_thread(self._courier.check, url)
        except SourceRefused as refused:
            raise Invalid(
                "invalid_webhook_url",
                "The webhook URL must be public https.",
                param="webhook_url",
                reason=refused.reason,
            ) from None

    def check_options(self, options: JobOptions, account: Account) -> None:
        """Raises Invalid `unsupported_language` when no engine of the chain can do it."""
        chain = chosen(self._chain, options.engines or account.engines)
        if not any(facts.can(options.language, options.task) for facts in chain):
            param = "language" if any(options.task in facts.tasks for facts in chain) else "task"
            raise Invalid("unsupported_language", "No engine here can do this language and task.", param=param)

    async def check_room(self, account: Account, name: str | None = None) -> None:
        """Raises RateLimited when the account does not queue and its slots are taken, unless an answer is kept under `name`."""
        async with self._records.look() as tx:
            if name is None or not await replays.stands(tx, name, self._clock.now()):
                await self._refuse_overflow(tx, account)

    async def replayed(self, once: Once | None) -> Replay | None:
        """What was answered before, looked for before anything else is asked of the request. Raises Conflict `idempotency_conflict`."""
        if once is None:
            return None
        async with self._records.look() as tx:
            return await replays.found(tx, once, self._clock.now())

    async def submit(self, request: JobRequest, once: Once | None = None) -> Job | Replay:
        """Row, hold, kept answer and the end of the upload in one transaction; the answer of another that was first, if there is one.

        Raises Invalid, QuotaExceeded, FundsShort, RateLimited, Transient, and with `once` Conflict `idempotency_conflict`.
        """
        job = self._job_of(request)
        async with self._records.begin() as tx:
            account = await tx.accounts.get(request.account_id)
            if account is None or account.suspended:
                raise Unauthenticated("invalid_api_key", "The account cannot submit.")
            job = msgspec.structs.replace(job, micros_per_hour=self._billing.price(account, job.dialect))
            replay = await replays.claimed(tx, once, job) if once else None
            if replay is not None:
                return replay
            self.check_options(request.options, account)
            if CUSTOMS[job.dialect].turns_away:
                await self._refuse_overflow(tx, account)
            await self._billing.admit(tx, account, job, known_s=request.known_duration_s)
            if job.awaiting:
                await self._refuse_uploads(tx, account)
            await tx.jobs.add(job, brought=request.brought)
            if job.awaiting:
                # what nobody brings within a day is given up
                await tx.jobs.begin_upload(job.job_id, job.account_id, job.created_at)
        self._wake()
        return job

    async def _refuse_overflow(self, tx: Transaction, account: Account) -> None:
        if account.queueing:
            return
        if await tx.jobs.count_open(account.account_id) >= self._plans.of(account).max_jobs:
            raise RateLimited(message="All concurrent jobs of the plan are taken.", retry_after_s=BUSY_RETRY_AFTER_S)

    async def _refuse_uploads(self, tx: Transaction, account: Account) -> None:
        """Who opens many and brings none keeps no more rows, and parts in the store, than that."""
        most = self._plans.of(account).max_awaiting
        await tx.accounts.lock(account.account_id)
        if await tx.jobs.count_awaiting(account.account_id) >= most:
            words = "Too many jobs await their uploads; bring them, or delete the jobs."
            raise RateLimited("too_many_uploads", words, retry_after_s=UPLOADS_RETRY_AFTER_S, limit=most)

    def _job_of(self, request: JobRequest) -> Job:
        now, hook = self._clock.now(), request.webhook_url
        return Job(
            job_id=request.job_id,
            account_id=request.account_id,
            dialect=request.dialect,
            options=request.options,
            source=request.source,
            created_at=now,
            changed_at=now,
            webhook_url=None if hook is None else sealed(self._vault, hook),
            accept_overage=request.accept_overage,
            priority=request.priority,
            reference=request.reference,
            limits=request.limits,
            awaiting=awaits(request.source),
            files_total=request.source.files if isinstance(request.source, ManifestSource) else None,
        )
