"""The stations of batches over a real database and a folder, called as a worker calls them; nothing else runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.batch import BatchFlow
from activities.batch_tasks import Brought, FetchPackTask, IngestPackTask, PageTask, TranscribePackTask
from activities.files import Files
from activities.pack_fetch import PackFetch
from activities.pack_speech import PackSpeech
from activities.packs import Packs
from activities.tasks import Run
from activities.threads import Threads
from tests.servers.api import house_settings
from tiro.adapters.engines.scripted import Script, ScriptedEngine
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.model.batch import BatchEntryWish, BatchFile
from tiro.model.blob import document_key, file_id, job_prefix, source_key
from tiro.model.job import Job
from tiro.model.request import AwaitedSource, JobOptions, JobRequest
from tiro.services.batch_line import BatchLine
from tiro.services.house import House
from tiro.wiring import build_house

ROOM_BYTES = 1 << 30


class Dead(Exception):
    """The process has died here: nothing behind it was done, nobody heard an answer."""


class BatchDesk:
    """A batch that has begun, and its stations; `files` may be exchanged for a line that dies."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.job_id = ""
        self.engines = {name: ScriptedEngine(Script(name=name, model=name)) for name in ("one", "two")}
        self.files: BatchLine = house.batch_line
        self._executor = ThreadPoolExecutor(8)
        self._threads = Threads(self._executor)

    async def begin(self, recordings: Sequence[bytes | str], options: JobOptions | None = None) -> Job:
        """Handed in, brought, admitted and claimed."""
        account = await self.house.accounts.create("batches", "business")
        await self.house.wallets.credit(account.account_id, 10_000_000, "test")
        self.job_id = self.house.intake.new_job_id()
        request = JobRequest(
            job_id=self.job_id,
            account_id=account.account_id,
            dialect="transcribe",
            options=options or JobOptions(language="en", diarize=False),
            source=AwaitedSource(),
        )
        wishes = [
            BatchEntryWish(reference=str(n), url=one if isinstance(one, str) else None)
            for n, one in enumerate(recordings)
        ]
        job = await self.house.batches.submit(request, wishes)
        assert isinstance(job, Job)
        for n, one in enumerate(recordings):
            if isinstance(one, bytes):
                self.house.blobs.put(source_key(file_id(self.job_id, n)), one)
        if job.awaiting:
            async with self.house.records.begin() as tx:
                await tx.jobs.arrive(self.job_id, job.source, self.house.clock.now())
        await self.house.dispatch.once()
        begun = await self.house.line.begin(self.job_id, 1, "claim")
        assert begun is not None
        return begun

    async def fetch(
        self, *files: int, room_bytes: int = ROOM_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> Brought:
        task = FetchPackTask(job_id=self.job_id, run=1, files=files, room_bytes=room_bytes)
        brought = await ActivityEnvironment().run(self._fetching(clock).fetch_pack, task)
        assert isinstance(brought, Brought)
        return brought

    async def ingest(self, *files: int, room_bytes: int = ROOM_BYTES, fetched: bool = False) -> Any:
        packs = Packs(
            self.house.line, self.files, self.house.blobs, self._fetching(), self.house.preparer, self._threads,
            self.folder,
        )  # fmt: skip
        task = IngestPackTask(job_id=self.job_id, run=1, files=files, room_bytes=room_bytes, fetched=fetched)
        return await ActivityEnvironment().run(packs.ingest_pack, task)

    def _fetching(self, clock: Callable[[], float] = time.monotonic) -> PackFetch:
        house = self.house
        return PackFetch(house.line, self.files, house.blobs, house.fetcher, self._threads, clock)

    async def transcribe(self, pack: str, *files: int, engines: tuple[str, ...] = ("one", "two")) -> Any:
        speech = PackSpeech(self.house.line, self.files, self.house.blobs, self.engines, self._threads)
        task = TranscribePackTask(job_id=self.job_id, run=1, pack=pack, files=files, engines=engines, primary="one")
        return await ActivityEnvironment().run(speech.transcribe_pack, task)

    @property
    def flow(self) -> BatchFlow:
        return BatchFlow(self.house.line, self.files, self.house.endings, self.house.blobs, self._threads)

    @property
    def long_files(self) -> Files:
        return Files(self.house.line, self.files, self.house.blobs, self.house.orchestrator, self._threads)

    async def finish_page(self) -> None:
        task = PageTask(
            job_id=self.job_id, run=1, account_id="acct", dialect="transcribe", weight=1.0, priority=4, page=0,
            files=1, engines=("one",), width=1, room_bytes=0,
        )  # fmt: skip
        await ActivityEnvironment().run(self.flow.finish_page, task)

    async def finish(self) -> Any:
        return await ActivityEnvironment().run(self.flow.finish_batch, Run(self.job_id, 1))

    async def rows(self) -> dict[int, BatchFile]:
        return await self.house.batch_line.files(self.job_id)

    def objects(self, below: str) -> dict[str, bytes]:
        prefix = f"{job_prefix(self.job_id)}{below}"
        return {info.key: self.house.blobs.get(info.key) for info in self.house.blobs.list(prefix)}

    def document(self) -> bytes:
        return self.house.blobs.get(document_key(self.job_id))

    def dying(self, where: str, *, after: bool) -> BatchLine:
        """A line that dies the first time that it is asked for this, before or after it is done."""
        whole = self.house.batch_line

        class Dying(BatchLine):
            def __init__(self) -> None:
                vars(self).update(vars(whole))

            async def prepare(self, job_id: str, run: int, seconds: Mapping[int, int]) -> set[int]:
                return set(await _died(super().prepare(job_id, run, seconds), where == "prepare", after))

            async def settle(self, files: Sequence[BatchFile]) -> None:
                await _died(super().settle(files), where == "settle" and bool(files), after)

        return Dying()


async def _died(work: Any, here: bool, after: bool) -> Any:
    if here and not after:
        work.close()
        raise Dead
    done = await work
    if here:
        raise Dead
    return done


@contextlib.asynccontextmanager
async def batch_desk(folder: Path, database_url: str) -> AsyncIterator[BatchDesk]:
    engines = "scripted:name=one,scripted:name=two"
    settings = house_settings(
        folder,
        {"TIRO_DATABASE_URL": database_url, "TIRO_ENGINES": engines, "TIRO_EGRESS_ALLOW": "127.0.0.0/8"},
    )
    house = build_house(settings, RecordedOrchestrator())
    try:
        yield BatchDesk(house, folder)
    finally:
        house.preparer.close()
        await house.records.close()
