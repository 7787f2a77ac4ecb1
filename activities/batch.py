"""The first and the last stations of a batch: is what was handed in there, and what is the document of what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
from temporalio import activity

from activities.batch_document import BatchDocument
from activities.batch_tasks import BatchBrief, CheckedManifest, PageTask
from activities.flow import settled_as
from activities.heartbeat import beating
from activities.tasks import Run, SettledAs
from activities.threads import Threads
from tiro.model.batch import PAGE_FILES, BatchFile, ManifestIndex, end_of, fault_of, page_files, pages_of
from tiro.model.blob import files_prefix, page_number, pages_prefix, source_number
from tiro.model.errors import Permanent
from tiro.model.job import Job, JobPatch
from tiro.model.request import ManifestSource
from tiro.ports import Blobs
from tiro.services.batch_line import BatchLine
from tiro.services.ending import Endings, Fault
from tiro.services.line import Line
from tiro.services.manifests import Manifests

PAGES_IN_FLIGHT = 4


class BatchFlow:
    """begin_batch, check_manifest, finish_page, finish_batch."""

    def __init__(
        self, line: Line, files: BatchLine, endings: Endings, blobs: Blobs, threads: Threads, packs_in_flight: int = 16
    ) -> None:
        self._line = line
        self._files = files
        self._endings = endings
        self._blobs = blobs
        self._threads = threads
        self._manifests = Manifests(blobs)
        self._document = BatchDocument(blobs)
        self._packs_in_flight = packs_in_flight

    @activity.defn(name="begin_batch")
    async def begin_batch(self, task: Run) -> BatchBrief | None:
        """Claim the run for this workflow execution, and hold for what it takes over; None: it is not wanted (any more)."""
        job = await self._line.begin(task.job_id, task.run, activity.info().workflow_run_id or "")
        if job is None:
            return None
        await self._files.hold_again(job.job_id, job.run)
        # each file may have a language of its own
        options = msgspec.structs.replace(job.options, language=None)
        engines = await self._line.engines(msgspec.structs.replace(job, options=options))
        if not engines:
            raise Permanent("engine_unavailable", "No engine of this server can do this task.")
        manifest = _manifest_of(job)
        return BatchBrief(
            files=manifest.files,
            engines=engines,
            page_width=page_width(self._packs_in_flight, manifest.files),
            fetches=manifest.uploads < manifest.files,
        )

    @activity.defn(name="check_manifest")
    async def check_manifest(self, task: Run) -> CheckedManifest:
        """Is all there that is to be there? Raises Permanent with the code by which the batch fails."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            await self._line.patch(job.job_id, job.run, JobPatch(stage="preparing"))
            files = await self._files.files(job.job_id)
            completed = {index for index, file in files.items() if file.state == "completed"}
            checked = await self._threads.run(self._checked, job, completed)
            await self._line.patch(job.job_id, job.run, JobPatch(stage="transcribing"))
            return checked

    @activity.defn(name="finish_page")
    async def finish_page(self, task: PageTask) -> None:
        """Write this page's piece of the document; a file that came to no end has failed."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            entries = await self._threads.run(self._manifests.page_of, _manifest_of(job), task.page)
            files = await self._files.files(job.job_id, task.page * PAGE_FILES, PAGE_FILES)
            left = [
                BatchFile(
                    job_id=job.job_id,
                    index=entry.index,
                    run=job.run,
                    state="failed",
                    error_code="transient_error",
                    error_reason="unfinished",
                )
                for entry in entries
                if entry.index not in files or files[entry.index].state == "prepared"
            ]
            await self._files.settle(left)
            files |= {file.index: file for file in left}
            ref = await self._threads.run(self._document.write_page, job, task.page, entries, files)
            await self._line.keep(job.job_id, job.run, ref)

    @activity.defn(name="finish_batch")
    async def finish_batch(self, task: Run) -> SettledAs:
        """Put the pages together and settle: completed, when at least one file is."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            files = list((await self._files.files(job.job_id)).values())
            fault = end_of(files)
            if fault is not None:
                return settled_as(await self._endings.end(job.job_id, job.run, "failed", Fault(*fault)), self._endings)
            await self._line.patch(job.job_id, job.run, JobPatch(stage="publishing"))
            completed = sum(file.state == "completed" for file in files)
            charged = await self._files.charge_of(job)
            ref = await self._threads.run(self._document.write, job, completed, len(files) - completed, charged)
            await self._line.keep(job.job_id, job.run, ref)
            return settled_as(await self._endings.end(job.job_id, job.run, "completed"), self._endings)

    def _checked(self, job: Job, completed: set[int]) -> CheckedManifest:
        """The store is listed once, not asked ten thousand times."""
        index = self._manifests.index(_manifest_of(job))
        entries = list(self._manifests.entries(index))
        sizes = self._found(files_prefix(job.job_id), source_number)
        fault = fault_of(index, entries, sizes, completed)
        if fault is not None:
            raise Permanent(fault, "This batch is not what was declared.")
        written = set(self._found(pages_prefix(job.job_id), page_number))
        brought = {entry.index for entry in entries if entry.sealed_url is None}
        known_bytes = sum(size for number, size in sizes.items() if number in brought or number in completed)
        return CheckedManifest(pages=_to_do(index, completed, written), known_bytes=known_bytes)

    def _found(self, prefix: str, number_of: Callable[[str], int | None]) -> dict[int, int]:
        """Number -> bytes."""
        listed = ((number_of(info.key), info.size_bytes) for info in self._blobs.list(prefix))
        return {number: size_bytes for number, size_bytes in listed if number is not None}


def page_width(packs: int, files: int) -> int:
    """Chunks of a page that are under way at once, so that there are so many packs of the batch, however few its pages are.

    The next ones are prepared while those before them are heard.
    """
    return math.ceil(packs / min(PAGES_IN_FLIGHT, pages_of(files)))


def _to_do(index: ManifestIndex, completed: set[int], written: set[int]) -> tuple[int, ...]:
    """Pages of which a file is not completed, or whose piece of the document is not there."""
    done = {page for page in written if set(page_files(page, index.files)) <= completed}
    return tuple(page for page in range(len(index.pages)) if page not in done)


def _manifest_of(job: Job) -> ManifestSource:
    assert isinstance(job.source, ManifestSource), "only a batch has a manifest"
    return job.source
