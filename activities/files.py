"""The long files of a batch: each a job of its own with a workflow of its own, opened before it and closed after it."""

from __future__ import annotations

from temporalio import activity

from activities.batch_tasks import FilesTask
from activities.entries import Entries
from activities.heartbeat import beating
from activities.threads import Threads
from tiro.model.blob import file_id, source_key
from tiro.model.errors import Permanent
from tiro.model.job import Job
from tiro.ports import Blobs, Orchestrator
from tiro.services.batch_line import BatchLine
from tiro.services.line import Line


class Files:
    """open_files, close_file, await_file. All may be repeated."""

    def __init__(
        self, line: Line, files: BatchLine, blobs: Blobs, orchestrator: Orchestrator, threads: Threads
    ) -> None:
        self._line = line
        self._files = files
        self._blobs = blobs
        self._orchestrator = orchestrator
        self._threads = threads
        self._entries = Entries(files, blobs, threads)

    @activity.defn(name="open_files")
    async def open_files(self, task: FilesTask) -> None:
        """Rows for these files, all of one page."""
        job = await self._line.job(task.job_id, task.run)
        entries = await self._entries.of(job, task.files)
        sizes = await self._threads.run(lambda: {one.index: self._size(job, one.index) for one in entries})
        await self._files.open_files(job, entries, sizes)

    @activity.defn(name="close_file")
    async def close_file(self, task: FilesTask) -> None:
        """What became of this file, for its batch."""
        job = await self._line.job(task.job_id, task.run)
        for index in task.files:
            await self._files.close_file(job, index)

    @activity.defn(name="await_file")
    async def await_file(self, task: FilesTask) -> None:
        """Until the workflow of this file is over: it was started by somebody else, so nobody else tells."""
        async with beating():
            for index in task.files:
                while await self._orchestrator.is_running(file_id(task.job_id, index), task.run):
                    await self._orchestrator.over(file_id(task.job_id, index), task.run)

    def _size(self, job: Job, index: int) -> int:
        """Of what was decoded a moment ago."""
        info = self._blobs.head(source_key(file_id(job.job_id, index)))
        if info is None:
            raise Permanent("source_unavailable", "The recording is not there any more.", reason="gone")
        return info.size_bytes
