"""The way of a batch: begin, check what was handed in, then its pages beside each other; at last one document, settle, deliver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    TemporalError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.batch import PAGES_IN_FLIGHT, BatchFlow
    from activities.batch_tasks import BatchBrief, CheckedManifest, PageEnd, PageTask
    from activities.faults import Told
    from activities.flow import Flow
    from activities.tasks import Run, SettledAs
    from tiro.adapters.temporal import names
    from tiro.model.batch import MAX_BYTES, pages_of
    from tiro.model.job import Stage
    from tiro.ports import Launch
    from workflows.children import child_options
    from workflows.display import BatchBoard, batch_details
    from workflows.ending import Finished, to_its_end
    from workflows.page import Page
    from workflows.stations import check_priority, fan_out, run_station


@workflow.defn(name="Batch")
class Batch:
    """One run of one batch. Its history holds ids, numbers and codes only."""

    @workflow.init
    def __init__(self, launch: Launch) -> None:
        self._launch = launch  # an update may come before `run` begins
        self._paused = False
        self._priority: int | None = None
        self._stage: Stage = "queued"
        self._brief: BatchBrief | None = None
        self._bytes = 0
        self._left: set[int] = set()
        self._pages: dict[int, workflow.ChildWorkflowHandle[Any, PageEnd]] = {}

    @workflow.run
    async def run(self, launch: Launch) -> Finished:
        """To its end, whatever happens."""
        begin = run_station(BatchFlow.begin_batch, Run(launch.job_id, launch.run))
        return await to_its_end(launch, begin, self._stations, lambda: self._look("ended"))

    # --- what may come in while it runs --------------------------------------------------------------------------

    @workflow.update(name="pause", description="schedule no further files")
    async def pause(self) -> None:
        """What is under way is finished; nothing new begins, in no page."""
        await self._steer("pause", paused=True)

    @workflow.update(name="resume", description="go on after pause")
    async def resume(self) -> None:
        """Go on."""
        await self._steer("resume", paused=False)

    @workflow.update(name="reprioritize", description="1 (first) to 5: for what is not yet scheduled")
    async def reprioritize(self, priority: int) -> None:
        """Takes effect with the next stations that are scheduled."""
        self._priority = priority
        await self._tell("reprioritize", priority)

    @reprioritize.validator
    def _check_priority(self, priority: int) -> None:
        check_priority(priority)

    @workflow.query(name="progress", description="stage, pages, and why it waits")
    def progress(self) -> dict[str, str | int | float | bool | None]:
        """For operators and the command line."""
        board: dict[str, str | int | float | bool | None] = msgspec.to_builtins(self._board())
        return board

    async def _steer(self, signal: str, *, paused: bool) -> None:
        self._paused = paused
        self._look(self._stage)
        await self._tell(signal)
        await run_station(Flow.note, Run(self._launch.job_id, self._launch.run), self._stage, self._paused)

    async def _tell(self, signal: str, *args: Any) -> None:
        """All pages under way."""
        for handle in list(self._pages.values()):
            await _told(handle, signal, *args)

    # --- the stations -------------------------------------------------------------------------------------------------

    async def _stations(self, brief: BatchBrief) -> SettledAs:
        self._brief = brief
        self._look("preparing")
        checked = await run_station(BatchFlow.check_manifest, self._launch, priority=self._priority)
        self._bytes = checked.known_bytes
        self._left = set(checked.pages)
        self._look("transcribing")
        await fan_out(self._works(brief, checked), PAGES_IN_FLIGHT)
        self._look("publishing")
        return await run_station(BatchFlow.finish_batch, Run(self._launch.job_id, self._launch.run))

    async def _works(self, brief: BatchBrief, checked: CheckedManifest) -> AsyncIterator[Awaitable[None]]:
        for page in checked.pages:
            await workflow.wait_condition(lambda: not self._paused)
            yield self._page(brief, page)

    async def _page(self, brief: BatchBrief, page: int) -> None:
        task = self._task(brief, page)
        try:
            self._pages[page] = await self._start(task)
            await self._catch_up(task)
            end = await self._pages[page]
        except WorkflowAlreadyStartedError:
            raise _ending(Told("transient_error", passing=False, reason="reset")) from None
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise
            raise _ending(Told("transient_error", passing=False, reason="lost")) from None
        finally:
            self._pages.pop(page, None)
        self._bytes += end.fetched_bytes
        if end.fault is not None:
            raise _ending(end.fault)
        if self._bytes > MAX_BYTES:
            raise _ending(Told("batch_too_large", passing=False))
        self._left.discard(page)
        self._look(self._stage)

    async def _catch_up(self, task: PageTask) -> None:
        """Who steered while a page was being started could not tell it."""
        if self._paused != task.paused:
            await _told(self._pages[task.page], "pause" if self._paused else "resume")
        if self._priority is not None and self._priority != task.priority:
            await _told(self._pages[task.page], "reprioritize", self._priority)

    def _task(self, brief: BatchBrief, page: int) -> PageTask:
        launch = self._launch
        return PageTask(
            job_id=launch.job_id,
            run=launch.run,
            account_id=launch.account_id,
            dialect=launch.dialect,
            weight=launch.weight,
            priority=self._priority or launch.priority,
            page=page,
            files=brief.files,
            engines=brief.engines,
            width=brief.page_width,
            room_bytes=max(0, MAX_BYTES - self._bytes),
            paused=self._paused,
            fetches=brief.fetches,
        )

    async def _start(self, task: PageTask) -> workflow.ChildWorkflowHandle[Any, PageEnd]:
        return await workflow.start_child_workflow(
            Page.run,
            task,
            id=names.page_workflow_id(task.job_id, task.run, task.page),
            static_summary=f"page {task.page}",
            **child_options(task, self._priority),
        )

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _look(self, stage: Stage) -> None:
        self._stage = stage
        workflow.set_current_details(batch_details(self._board()))

    def _board(self) -> BatchBoard:
        files = self._brief.files if self._brief else 0
        return BatchBoard(
            stage=self._stage,
            files=files,
            pages=pages_of(files),
            pages_left=len(self._left),
            paused=self._paused,
            priority=self._priority or self._launch.priority,
        )


async def _told(page: workflow.ChildWorkflowHandle[Any, PageEnd], signal: str, *args: Any) -> None:
    """One that has just ended needs it no more."""
    try:
        await page.signal(signal, args=list(args))
    except TemporalError as gone:
        workflow.logger.debug("a page was not told: %s", type(gone).__name__)


def _ending(told: Told) -> ApplicationError:
    """What ends the whole batch, as an activity would say it."""
    return ApplicationError(told.code, msgspec.to_builtins(told), type=told.code, non_retryable=True)
