"""How a manifest becomes a batch, and what its owner may ask of it before it ends: entries, and what became of each file."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice

import msgspec

from tiro.model.batch import MAX_BYTES, MAX_FILES, BatchEntryWish, BatchFile, ManifestEntry
from tiro.model.blob import job_prefix
from tiro.model.errors import Invalid, SourceRefused, TiroError
from tiro.model.job import Job
from tiro.model.replay import Replay
from tiro.model.request import JobRequest, ManifestSource
from tiro.ports import Blobs, Fetcher, Records
from tiro.services.intake import Intake
from tiro.services.manifests import Manifests
from tiro.services.replays import Once

PRIORITY = 4


class Batches:
    """Takes batches in, and looks into their manifests. A file's own recording lies at `source_key(file_id(job_id, index))`."""

    def __init__(self, records: Records, blobs: Blobs, fetcher: Fetcher, intake: Intake) -> None:
        self._records = records
        self._blobs = blobs
        self._fetcher = fetcher
        self._intake = intake
        self._manifests = Manifests(blobs)

    async def submit(
        self,
        request: JobRequest,
        entries: Sequence[BatchEntryWish],
        *,
        declared_files: int | None = None,
        declared_bytes: int | None = None,
        once: Once | None = None,
    ) -> Job | Replay:
        """The manifest, then the row, in the order in which nothing is lost; `request.source` counts for nothing here.

        With files to be brought the job is `awaiting`, else queued. Raises as `Intake.submit`, and Invalid `empty_batch`, `too_many_files`,
        `batch_too_large`, `duplicate_reference`, `invalid_source_url`, `unsupported_language` (`index`, `reference` in extras).
        """
        before = await self._intake.replayed(once)
        if before is not None:
            return before
        await self._check(request, entries)
        await self._intake.begin_upload(request.job_id, request.account_id)
        try:
            source = await asyncio.to_thread(self._write, request.job_id, entries, declared_files, declared_bytes)
            taken = await self._intake.submit(
                msgspec.structs.replace(request, source=source, priority=PRIORITY, known_duration_s=None), once
            )
        except BaseException:
            await self._discard(request.job_id)
            raise
        if isinstance(taken, Replay):
            await self._discard(request.job_id)
        return taken

    async def entries(self, job: Job, first: int = 0, count: int = MAX_FILES) -> list[ManifestEntry]:
        """So many of the manifest, in order. Raises Permanent `manifest_mismatch`."""
        source = _manifest_of(job)
        return await asyncio.to_thread(
            lambda: list(islice(self._manifests.entries(self._manifests.index(source), first), count))
        )

    async def named(self, job: Job, references: Collection[str]) -> dict[str, ManifestEntry]:
        """Reference -> its entry, of those that there are. Raises Permanent `manifest_mismatch`."""
        return await asyncio.to_thread(self._named, _manifest_of(job), set(references))

    async def files(self, job_id: str, first: int = 0, count: int = MAX_FILES) -> list[BatchFile]:
        """What became of these files so far; those that have not come far have none."""
        async with self._records.begin() as tx:
            return await tx.batches.files(job_id, first, count)

    async def _discard(self, job_id: str) -> None:
        """Remove the manifest of what is to be no batch. A submit that failed may yet have been committed: then all stays.

        What cannot be removed now is found by upkeep.
        """
        with contextlib.suppress(TiroError):
            async with self._records.begin() as tx:
                if await tx.jobs.get(job_id) is not None:
                    return
            await asyncio.to_thread(self._blobs.delete_prefix, job_prefix(job_id))
            await self._intake.drop_upload(job_id)

    def _named(self, source: ManifestSource, wanted: set[str]) -> dict[str, ManifestEntry]:
        """Page by page, until all are found: they are asked for in the order of the manifest."""
        found: dict[str, ManifestEntry] = {}
        for entry in self._manifests.entries(self._manifests.index(source)):
            if len(found) == len(wanted):
                break
            if entry.reference in wanted:
                found[entry.reference] = entry
        return found

    def _write(
        self, job_id: str, entries: Sequence[BatchEntryWish], declared_files: int | None, declared_bytes: int | None
    ) -> ManifestSource:
        sealed = [
            ManifestEntry(
                index=index,
                reference=wish.reference,
                sealed_url=None if wish.url is None else self._intake.seal_url(wish.url).sealed_url,
                size_bytes=wish.size_bytes,
                media_type=wish.media_type,
                name=wish.name,
                language=wish.language,
            )
            for index, wish in enumerate(entries)
        ]
        return self._manifests.write(job_id, sealed, declared_files=declared_files, declared_bytes=declared_bytes)

    async def _check(self, request: JobRequest, entries: Sequence[BatchEntryWish]) -> None:
        """What can be said before anything is written."""
        await asyncio.to_thread(self._check_entries, entries)
        await self._check_languages(request, entries)

    def _check_entries(self, entries: Sequence[BatchEntryWish]) -> None:
        if not entries:
            raise Invalid("empty_batch", "A batch has at least one file.", param="files")
        if len(entries) > MAX_FILES:
            raise Invalid("too_many_files", f"A batch has at most {MAX_FILES} files.", param="files", limit=MAX_FILES)
        if sum(entry.size_bytes or 0 for entry in entries) > MAX_BYTES:
            raise Invalid(
                "batch_too_large", f"A batch has at most {MAX_BYTES} bytes.", param="files", limit_bytes=MAX_BYTES
            )
        reference, times = Counter(entry.reference for entry in entries).most_common(1)[0]
        if times > 1:
            raise Invalid("duplicate_reference", "Two files have the same name.", param="files", reference=reference)
        self._check_urls(entries)

    def _check_urls(self, entries: Sequence[BatchEntryWish]) -> None:
        for index, entry in enumerate(entries):
            if entry.url is None:
                continue
            try:
                self._fetcher.check(entry.url)
            except SourceRefused as refused:
                where = {"index": index, "reference": entry.reference, "reason": refused.reason}
                raise Invalid(
                    "invalid_source_url", "The address of a file cannot be used.", param="files", **where
                ) from None

    async def _check_languages(self, request: JobRequest, entries: Sequence[BatchEntryWish]) -> None:
        async with self._records.begin() as tx:
            account = await tx.accounts.get(request.account_id)
        if account is None:
            return  # intake says so
        for language in dict.fromkeys(entry.language for entry in entries if entry.language is not None):
            self._intake.check_options(msgspec.structs.replace(request.options, language=language), account)


def _manifest_of(job: Job) -> ManifestSource:
    assert isinstance(job.source, ManifestSource), "only a batch has a manifest"
    return job.source
