"""The way of a hundred files of a batch: in packs where they are short, as recordings of their own where they are long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.batch import BatchFlow
    from activities.batch_tasks import (
        FetchPackTask,
        FilesTask,
        Ingested,
        IngestPackTask,
        Pack,
        PageEnd,
        PageTask,
        TranscribePackTask,
    )
    from activities.files import Files
    from activities.pack_fetch import PackFetch
    from activities.pack_speech import PackSpeech
    from activities.packs import Packs
    from tiro.adapters.temporal import names
    from tiro.model.blob import file_id
    from tiro.model.pack import chunks_of
    from tiro.ports import Launch
    from workflows.children import child_options
    from workflows.stations import fan_out, run_station, together, told_of

LONG_FILES = 4
"""Long files of a page that are under way at once."""
_WAITS_S = (2, 2, 4, 8, 16, 30)
"""Before a file is asked for again."""


@workflow.defn(name="Page")
class Page:
    """Ends with what it came to, never with an error: what ends the batch is part of its answer."""

    @workflow.init
    def __init__(self, task: PageTask) -> None:
        self._task = task
        self._paused = task.paused
        self._priority: int | None = None
        self._fetched_bytes = 0
        self._ended = 0
        self._packs = asyncio.Semaphore(task.width)
        self._long = asyncio.Semaphore(LONG_FILES)

    @workflow.run
    async def run(self, task: PageTask) -> PageEnd:
        """Every file gets its end; then the page's piece of the document is written."""
        try:
            await fan_out(self._chunks(), task.width)
            await run_station(BatchFlow.finish_page, task, priority=self._priority)
        except GeneratorExit:
            raise  # thrown away with its worker
        except BaseException as error:
            if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                raise asyncio.CancelledError from None
            told = told_of(error)
            if told is None:
                raise
            return PageEnd(page=task.page, fetched_bytes=self._fetched_bytes, fault=told)
        return PageEnd(page=task.page, fetched_bytes=self._fetched_bytes)

    # --- what may come in while it runs --------------------------------------------------------------------------

    @workflow.signal(name="pause", description="schedule nothing more")
    def pause(self) -> None:
        """From the batch."""
        self._paused = True

    @workflow.signal(name="resume", description="go on")
    def resume(self) -> None:
        """From the batch."""
        self._paused = False

    @workflow.signal(name="reprioritize", description="for what is not yet scheduled")
    def reprioritize(self, priority: int) -> None:
        """From the batch, which has checked it."""
        self._priority = priority

    # --- the files ------------------------------------------------------------------------------------------------

    async def _chunks(self) -> AsyncIterator[Awaitable[None]]:
        for files in chunks_of(self._task.page, self._task.files):
            await workflow.wait_condition(lambda: not self._paused)
            yield self._chunk(files)

    async def _chunk(self, files: tuple[int, ...]) -> None:
        """Packs and long files of these; what is in passing trouble is asked for again, until it has an end."""
        left, away, tries = files, files if self._task.fetches else (), 0
        while True:
            away = await self._fetch(away)
            ingested = await self._ingest(tuple(index for index in left if index not in away))
            await together(*(self._hear(pack) for pack in ingested.packs), self._long_files(ingested.long))
            left = tuple(sorted((*ingested.again, *away)))
            if not left:
                break
            await _wait(tries)
            tries += 1
        self._ended += len(files)
        workflow.set_current_details(f"{self._ended} files done")

    async def _fetch(self, files: tuple[int, ...]) -> tuple[int, ...]:
        """Bring what has an address, a few at a time: others have their turn between. Those to be asked for again."""
        left, again = files, list[int]()
        while left:
            await workflow.wait_condition(lambda: not self._paused)
            task = FetchPackTask(
                job_id=self._task.job_id, run=self._task.run, files=left, room_bytes=self._room_bytes()
            )
            brought = await run_station(
                PackFetch.fetch_pack, task, summary=f"{len(left)} from file {left[0]}", priority=self._priority
            )
            self._fetched_bytes += brought.fetched_bytes
            again += brought.again
            left = brought.later
        return tuple(sorted(again))

    async def _ingest(self, files: tuple[int, ...]) -> Ingested:
        if not files:
            return Ingested()
        task = IngestPackTask(
            job_id=self._task.job_id,
            run=self._task.run,
            files=files,
            room_bytes=self._room_bytes(),
            fetched=self._task.fetches,
        )
        ingested = await run_station(
            Packs.ingest_pack, task, summary=f"{len(files)} from file {files[0]}", priority=self._priority
        )
        self._fetched_bytes += ingested.fetched_bytes
        return ingested

    def _room_bytes(self) -> int:
        return max(0, self._task.room_bytes - self._fetched_bytes)

    async def _hear(self, pack: Pack) -> None:
        """With each engine of the chain what the one before did not get done."""
        async with self._packs:
            left = pack.files
            for engine in range(len(self._task.engines)):
                left = await self._hear_with(pack.name, left, self._task.engines[engine:])
                if not left:
                    return

    async def _hear_with(self, pack: str, files: tuple[int, ...], engines: tuple[str, ...]) -> tuple[int, ...]:
        """Those that the next engine is to hear."""
        passed: list[int] = []
        left, tries = files, 0
        while left:
            await workflow.wait_condition(lambda: not self._paused)
            task = TranscribePackTask(
                job_id=self._task.job_id,
                run=self._task.run,
                pack=pack,
                files=left,
                engines=engines,
                primary=self._task.engines[0],
                priority=self._priority or self._task.priority,
            )
            heard = await run_station(
                PackSpeech.transcribe_pack, task, summary=f"{len(left)} from file {left[0]}", priority=self._priority
            )
            passed += heard.passed
            left = heard.again
            if left:
                await _wait(tries)
                tries += 1
        return tuple(sorted(passed))

    async def _long_files(self, files: tuple[int, ...]) -> None:
        if files:
            await run_station(Files.open_files, self._files(files), priority=self._priority)
            await together(*(self._long_file(index) for index in files))

    async def _long_file(self, index: int) -> None:
        """A workflow of its own; how it ended stands in its row."""
        async with self._long:
            await workflow.wait_condition(lambda: not self._paused)
            try:
                await self._transcription(index)
            except WorkflowAlreadyStartedError:
                await run_station(Files.await_file, self._files((index,)), priority=self._priority)
            except ChildWorkflowError:
                if workflow.cancellation_reason() is not None:
                    raise asyncio.CancelledError from None
            await run_station(Files.close_file, self._files((index,)), priority=self._priority)

    async def _transcription(self, index: int) -> None:
        task, job_id = self._task, file_id(self._task.job_id, index)
        launch = Launch(
            job_id=job_id,
            run=task.run,
            account_id=task.account_id,
            dialect=task.dialect,
            weight=task.weight,
            priority=self._priority or task.priority,
            summary=f"file {index}",
        )
        await workflow.execute_child_workflow(
            names.TRANSCRIPTION,
            launch,
            id=names.job_workflow_id(job_id, task.run),
            static_summary=f"file {index}",
            **child_options(task, self._priority, SearchAttributePair(names.STATUS, "processing")),
        )

    def _files(self, files: tuple[int, ...]) -> FilesTask:
        return FilesTask(job_id=self._task.job_id, run=self._task.run, files=files)


async def _wait(tries: int) -> None:
    wait_s = _WAITS_S[min(tries, len(_WAITS_S) - 1)]
    await workflow.sleep(timedelta(seconds=wait_s), summary="until files are asked for again")
