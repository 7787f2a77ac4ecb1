"""What was handed in of some files of a batch, and which of them have no end yet?"""

from __future__ import annotations

from collections.abc import Sequence

from activities.threads import Threads
from tiro.model.batch import PAGE_FILES, ManifestEntry
from tiro.model.job import Job
from tiro.model.request import ManifestSource
from tiro.ports import Blobs
from tiro.services.batch_line import BatchLine
from tiro.services.manifests import Manifests


class Entries:
    """Of files that are asked for together: all of one page."""

    def __init__(self, files: BatchLine, blobs: Blobs, threads: Threads) -> None:
        self._files = files
        self._threads = threads
        self._manifests = Manifests(blobs)

    async def of(self, job: Job, files: Sequence[int]) -> list[ManifestEntry]:
        """In order."""
        assert isinstance(job.source, ManifestSource), "only a batch has files"
        page = await self._threads.run(self._manifests.page_of, job.source, files[0] // PAGE_FILES)
        wanted = set(files)
        return [entry for entry in page if entry.index in wanted]

    async def waiting(self, job: Job, files: Sequence[int]) -> list[ManifestEntry]:
        """Those of these that have no end yet."""
        known = await self._files.files(job.job_id, files[0], files[-1] - files[0] + 1)
        ended = {index for index, file in known.items() if file.state != "prepared"}
        return [entry for entry in await self.of(job, files) if entry.index not in ended]
