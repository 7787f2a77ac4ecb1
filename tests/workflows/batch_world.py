"""A house with workers in this process, for batches: database, store and Temporal are real, the engine hears numbered audio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from api.relay import Relay
from tests.media_builder import numbered, wav
from tests.servers.api import house_settings
from tiro.adapters.temporal import names
from tiro.adapters.temporal.orchestrator import TemporalOrchestrator
from tiro.model.account import Account
from tiro.model.batch import BatchEntryWish, BatchFile
from tiro.model.blob import document_key, file_id, job_prefix, source_key
from tiro.model.job import Job
from tiro.model.request import AwaitedSource, JobOptions, JobRequest
from tiro.model.wallet import Balance
from tiro.services.house import House
from tiro.wiring import Core, build_house
from worker import Workers

ALL = ("control", "media", "speech", "voices", "deliver")
PATIENCE_S = 60.0
DOLLAR = 1_000_000
PRICE_MICROS = 150_000
"""An hour's."""


WorldMaker = Callable[..., Awaitable["BatchWorld"]]


class BatchWorld:
    """Hands in batches as a dialect does, and looks at what becomes of them."""

    def __init__(self, core: Core, account: Account, client: Client, folder: Path) -> None:
        self.core = core
        self.account = account
        self.client = client
        self.folder = folder

    @property
    def house(self) -> House:
        return self.core.house

    async def submit(
        self,
        recordings: Sequence[bytes | str],
        *,
        options: JobOptions | None = None,
        wishes: Callable[[int, BatchEntryWish], BatchEntryWish] = lambda _, wish: wish,
        bring: Callable[[int], bool] = lambda _: True,
        arrive: bool = True,
        **declared: int,
    ) -> str:
        """A batch of these recordings, all brought, those that are addresses left to be fetched. `bring` False: this one is not."""
        job_id = self.house.intake.new_job_id()
        entries = [
            wishes(index, BatchEntryWish(reference=f"name-{index}", url=one if isinstance(one, str) else None))
            for index, one in enumerate(recordings)
        ]
        request = JobRequest(
            job_id=job_id,
            account_id=self.account.account_id,
            dialect="transcribe",
            options=options or JobOptions(language="en", diarize=False),
            source=AwaitedSource(),
        )
        job = await self.house.batches.submit(request, entries, **declared)
        assert isinstance(job, Job)
        for index, one in enumerate(recordings):
            if isinstance(one, bytes) and bring(index):
                await asyncio.to_thread(self.house.blobs.put, source_key(file_id(job_id, index)), one)
        if job.awaiting and arrive:
            await self.arrive(job_id)
        return job_id

    async def arrive(self, job_id: str) -> None:
        async with self.house.records.begin() as tx:
            job = await tx.jobs.get(job_id)
            assert job is not None
            assert await tx.jobs.arrive(job_id, job.source, self.house.clock.now())
        self.house.bell.ring()

    async def job(self, job_id: str) -> Job:
        return await self.house.jobs.get(job_id)

    async def ended(self, job_id: str, state: str = "completed", run: int = 1) -> Job:
        """The job when this run of it has ended so, in the record and on Temporal."""
        await self.until(lambda: self._is_over(job_id, run), f"{job_id} ends")
        job = await self.job(job_id)
        assert (job.state, job.run) == (state, run), job
        return job

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await holds():
                await asyncio.sleep(0.05)
            return
        raise AssertionError(f"never: {what}")

    async def files(self, job_id: str) -> list[BatchFile]:
        return await self.house.batches.files(job_id)

    async def ends(self, job_id: str) -> dict[int, str]:
        """Index -> `completed`, or what it failed of."""
        return {file.index: file.error_code or file.state for file in await self.files(job_id)}

    async def document(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await asyncio.to_thread(self.house.blobs.get, document_key(job_id)))
        return found

    async def texts(self, job_id: str) -> list[str]:
        """In the order of the manifest; of a file that failed its code."""
        return [one.get("text") or one["code"] for one in (await self.document(job_id))["results"]]

    async def runs(self, job_id: str, run: int = 1) -> bool:
        """Whether its first page is at work: something of it waits for a worker, or is done by one."""
        try:
            page = await self.client.get_workflow_handle(names.page_workflow_id(job_id, run, 0)).describe()
        except RPCError:
            return False
        return bool(page.raw_description.pending_activities)

    async def rests(self, job_id: str, run: int = 1) -> bool:
        """Whether its first page has heard of a station's end, and has asked for nothing since."""
        history = await self.history(names.page_workflow_id(job_id, run, 0))
        types = [EventType.Name(event.event_type) for event in history.events]
        return "EVENT_TYPE_ACTIVITY_TASK_COMPLETED" in types and types[-1] == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"

    async def prepared(self, job_id: str, count: int) -> bool:
        """Whether so many files can be heard or have been."""
        return len(await self.files(job_id)) >= count

    async def balance(self) -> Balance:
        return await self.house.wallets.balance(self.account.account_id)

    async def objects(self, job_id: str) -> list[str]:
        prefix = job_prefix(job_id)
        listed = await asyncio.to_thread(lambda: list(self.house.blobs.list(prefix)))
        return [info.key.removeprefix(prefix) for info in listed]

    async def history(self, workflow_id: str) -> Any:
        return await self.client.get_workflow_handle(workflow_id).fetch_history()

    @contextlib.asynccontextmanager
    async def working(self, queues: Sequence[str] = ALL) -> AsyncIterator[Workers]:
        """Workers for these queues while the block runs, and a relay."""
        workers = Workers(self.core, queues, lambda _: None)
        await workers.start()
        try:
            async with Relay(self.house.dispatch, self.house.bell, every_s=0.2).running():
                yield workers
        finally:
            await workers.stop()

    async def _is_over(self, job_id: str, run: int) -> bool:
        job = await self.job(job_id)
        if job.run != run or not job.ended or job.started_at is None:
            return False
        described = await self.client.get_workflow_handle(names.batch_workflow_id(job_id, run)).describe()
        return described.status != WorkflowExecutionStatus.RUNNING


@contextlib.asynccontextmanager
async def batch_world(
    folder: Path, database_url: str, client: Client, environ: Mapping[str, str], funds_micros: int = 10 * DOLLAR
) -> AsyncIterator[BatchWorld]:
    """`environ`: changes to the settings."""
    temporal = {"TEMPORAL_ADDRESS": client.service_client.config.target_host, "TEMPORAL_NAMESPACE": client.namespace}
    settings = house_settings(
        folder,
        {"TIRO_DATABASE_URL": database_url, "TIRO_DIARIZER": "scripted", "TIRO_SPAN_S": "60", **temporal, **environ},
    )
    house = build_house(settings, TemporalOrchestrator(client, patience_s=10))
    core = Core(settings, client, house)
    account = await house.accounts.create("batches", "business")
    if funds_micros:
        await house.wallets.credit(account.account_id, funds_micros, "test")
    try:
        yield BatchWorld(core, account, client, folder)
    finally:
        await core.close()


def spoken(index: int, seconds: int = 2) -> bytes:
    """A recording whose words say which it is: `w<10 * index>` and so on."""
    return wav(numbered(seconds, 10 * index))


def words(index: int, seconds: int = 2) -> str:
    """What is heard in it."""
    return " ".join(f"w{10 * index + n}" for n in range(seconds))
