"""The services over a real database, a store in memory, and a Temporal that only remembers."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from tests.servers.databases import SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.adapters.fakes import CountedIds, RecordedOrchestrator
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.adapters.system import SystemIds
from tiro.adapters.vault import SealedVault
from tiro.model.account import Account
from tiro.model.blob import job_prefix, source_key
from tiro.model.hook import Attempt, Delivery
from tiro.model.job import Job, JobPatch
from tiro.model.ledger import Usage, month_of
from tiro.model.media import Span, SpanPlan
from tiro.model.plans import DEFAULT_PLANS, Plans
from tiro.model.request import JobOptions, Source, UploadedSource, UrlSource
from tiro.model.speech import EngineFacts
from tiro.services.accounts import Accounts
from tiro.services.dispatch import Dispatch
from tiro.services.ending import Endings
from tiro.services.hooks import sealed
from tiro.services.jobs import Jobs
from tiro.services.line import Line
from tiro.services.signing import Signing
from tiro.services.upkeep import Upkeep
from tiro.services.wallets import Wallets
from tiro.sign import Passes

HOOK = "https://hooks.example/take"
PUBLIC = "https://tiro.example"
PLAN = "plan"
PLANS = Plans(DEFAULT_PLANS)
CAPS = PLANS.max_jobs()
CHAIN = (
    EngineFacts("first", "model_a", frozenset({"en"}), frozenset({"transcribe"}), detects=True),
    EngineFacts("second", "model_b", frozenset({"en", "de"}), frozenset({"transcribe"}), detects=True),
)


class Desk:
    """Everything that may happen to a job, and a look at what became of it."""

    def __init__(self, records: SqlRecords, clock: SteppedClock) -> None:
        self.records, self.clock = records, clock
        self.blobs = MemoryBlobs(clock)
        self.orchestrator = RecordedOrchestrator()
        self.vault = SealedVault(base64.b64encode(b"k" * 32).decode())
        self.rung = 0
        self.passes = Passes(b"k" * 32, PUBLIC)
        self.endings = Endings(records, self.blobs, clock, PLANS, self._ring, public_url=PUBLIC, passes=self.passes)
        self.signing = Signing(records, self.vault, clock, SystemIds())
        self.dispatch = Dispatch(records, self.orchestrator, self.endings, PLANS, clock)
        self.line = Line(records, self.blobs, self.vault, clock, PLANS, CHAIN)
        self.upkeep = Upkeep(records, self.blobs, self.orchestrator, self.endings, clock)
        self.jobs = Jobs(records, self.blobs, self.orchestrator, self.endings, clock, lambda: None)
        self.accounts = Accounts(records, self.vault, clock, CountedIds(), PLANS, CHAIN)
        self.wallets = Wallets(records, clock, SystemIds())

    def _ring(self) -> None:
        self.rung += 1

    async def account(self, plan: str = "pro", **fields: Any) -> Account:
        return await self.accounts.create("someone", plan, **fields)

    async def queued(self, account: Account, job_id: str = "job_1", **fields: Any) -> Job:
        """A job with its recording in the store, or (`url`) behind an address."""
        url = fields.pop("url", None)
        source: Source
        if url is None:
            source = UploadedSource(self.blobs.put(source_key(job_id), b"recording"))
        else:
            source = UrlSource(self.vault.seal(url.encode()))
        now = self.clock.now()
        hook = fields.pop("webhook_url", None)
        job = Job(
            job_id=job_id,
            account_id=account.account_id,
            dialect=fields.pop("dialect", "jobs"),
            options=fields.pop("options", JobOptions(language="en")),
            source=source,
            created_at=now,
            changed_at=now,
            webhook_url=hook and sealed(self.vault, hook),
            **fields,
        )
        async with self.records.begin() as tx:
            await tx.jobs.add(job)
        return job

    async def running(self, account: Account, job_id: str = "job_1", *, decoded_s: float = 120.0, **fields: Any) -> Job:
        """Admitted, begun, and cut into four spans that all have speech."""
        await self.queued(account, job_id, **fields)
        return await self.begun(job_id, decoded_s=decoded_s)

    async def begun(self, job_id: str, run: int = 1, decoded_s: float = 120.0) -> Job:
        await self.dispatch.once()
        job = await self.line.begin(job_id, run, f"claim-{run}")
        assert job is not None
        step_s = decoded_s / 4
        spans = tuple(Span(n, 0, n * step_s, (n + 1) * step_s, ((n * step_s, (n + 1) * step_s),)) for n in range(4))
        await self.line.prepared(job, SpanPlan(PLAN, "mono", spans, decoded_s=decoded_s))
        return await self.job(job_id)

    async def job(self, job_id: str = "job_1") -> Job:
        async with self.records.begin() as tx:
            job = await tx.jobs.get(job_id)
        assert job is not None
        return job

    async def patch(self, job_id: str, run: int, **fields: Any) -> None:
        await self.line.patch(job_id, run, JobPatch(**fields))

    async def usage(self, account: Account) -> Usage:
        async with self.records.begin() as tx:
            return await tx.ledger.usage(account.account_id, month_of(self.clock.now()))

    async def kinds(self, account: Account, job_id: str = "job_1") -> list[tuple[int, str, int]]:
        """(run, kind, seconds) of the job's lines in the ledger."""
        async with self.records.begin() as tx:
            entries = await tx.ledger.entries(account.account_id)
        return sorted((e.run, e.kind, e.included_s + e.overage_s) for e in entries if e.job_id == job_id)

    async def slots(self, account: Account) -> int:
        return (await self.accounts.get(account.account_id)).running

    async def deliveries(self, job_id: str = "job_1") -> list[tuple[Delivery, list[Attempt]]]:
        return await self.jobs.deliveries(job_id)

    async def orders(self) -> list[tuple[str, str]]:
        async with self.records.begin() as tx:
            return [(order.kind, order.job_id) for order in await tx.jobs.orders()]

    def names(self, job_id: str = "job_1") -> list[str]:
        """What lies below the job's prefix, without it."""
        prefix = job_prefix(job_id)
        return [info.key.removeprefix(prefix) for info in self.blobs.list(prefix)]

    def event(self, delivery: Delivery) -> dict[str, Any]:
        body: dict[str, Any] = msgspec.json.decode(self.blobs.get(delivery.body.key))
        return body
