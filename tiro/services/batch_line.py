"""What the stations of a batch do to the record: files that are held for, files that have an end, long files as jobs of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tiro.model.batch import BatchFile, ManifestEntry, Tally
from tiro.model.blob import BlobRef, file_id, source_key
from tiro.model.errors import NotFound
from tiro.model.job import Job
from tiro.model.ledger import billable_seconds
from tiro.model.plans import Plans
from tiro.model.request import UploadedSource
from tiro.model.wallet import Charged, FundsShort
from tiro.ports import Clock, Records
from tiro.services.billing import Billing
from tiro.services.ending import Endings, Fault

OWN_BLOB = ""
"""What stands as the pack of a file whose transcript is a blob of its own."""


class BatchLine:
    """Every step may be repeated. Whether the run is still wanted, `Line.job` says; what comes too late changes nothing."""

    def __init__(self, records: Records, clock: Clock, plans: Plans, endings: Endings) -> None:
        self._records = records
        self._clock = clock
        self._endings = endings
        self._billing = Billing(plans)

    async def files(self, job_id: str, first: int = 0, count: int = 1_000_000) -> dict[int, BatchFile]:
        """Index -> what became of it so far."""
        async with self._records.begin() as tx:
            return {file.index: file for file in await tx.batches.files(job_id, first, count)}

    async def tally(self, job_id: str, run: int) -> Tally:
        """Of the batch and of this run."""
        async with self._records.begin() as tx:
            return await tx.batches.tally(job_id, run)

    async def prepare(self, job_id: str, run: int, seconds: Mapping[int, int]) -> set[int]:
        """Hold the money for these files (index -> billable seconds); those that it does not reach for.

        All at once, else one by one in their order. Raises FundsShort where nothing of the batch was ever paid for.
        """
        if not seconds:
            return set()
        try:
            await self._hold(job_id, run, seconds)
        except FundsShort as short:
            refused = {
                index for index, length in seconds.items() if not await self._reaches(job_id, run, index, length)
            }
            tally = await self.tally(job_id, run)
            if refused and not tally.completed and not tally.prepared_s:
                raise FundsShort(None, short.message, **short.extras) from None
            return refused
        return set()

    async def settle(self, files: Sequence[BatchFile]) -> None:
        """These files of one run have an end."""
        if files:
            async with self._records.begin() as tx:
                await tx.batches.settle(files)

    async def hold_again(self, job_id: str, run: int) -> None:
        """For what runs before this one completed, and nobody paid. Raises FundsShort."""
        await self._hold(job_id, run, {})

    async def charge_of(self, batch: Job) -> Charged:
        """What the batch will have been charged in all when this run ends as it stands."""
        async with self._records.begin() as tx:
            return await self._billing.charge_of(tx, batch)

    async def open_files(self, batch: Job, entries: Sequence[ManifestEntry], sizes: Mapping[int, int]) -> None:
        """Long files become jobs of their own, in the batch's run: without slot, webhook or price; what they speak goes before."""
        async with self._records.begin() as tx:
            for entry in entries:
                await tx.jobs.open_file(self._file(batch, entry, sizes[entry.index]), self._clock.now())

    async def close_file(self, batch: Job, index: int) -> BatchFile:
        """What became of a long file, written into its batch. One that Temporal has lost has failed."""
        file = await self._ended(file_id(batch.job_id, index), batch.run)
        completed = file.state == "completed"
        done = BatchFile(
            job_id=batch.job_id,
            index=index,
            run=batch.run,
            state="completed" if completed else "failed",
            seconds=billable_seconds(file.decoded_s or 0.0) if completed else 0,
            pack=OWN_BLOB if completed else None,
            error_code=None if completed else file.error_code or "transient_error",
            error_reason=file.error_reason,
        )
        await self.settle([done])
        return done

    async def _ended(self, job_id: str, run: int) -> Job:
        async with self._records.begin() as tx:
            file = await tx.jobs.get(job_id)
        if file is None:
            raise NotFound("job_not_found", "There is no such file.")
        if file.ended:
            return file
        return (await self._endings.end(job_id, run, "failed", Fault("transient_error", "lost"))).job

    async def _hold(self, job_id: str, run: int, seconds: Mapping[int, int]) -> None:
        async with self._records.begin() as tx:
            await self._billing.prepare_files(tx, job_id, run, seconds, self._clock.now())

    async def _reaches(self, job_id: str, run: int, index: int, length: int) -> bool:
        try:
            await self._hold(job_id, run, {index: length})
        except FundsShort:
            return False
        return True

    def _file(self, batch: Job, entry: ManifestEntry, size_bytes: int) -> Job:
        job_id = file_id(batch.job_id, entry.index)
        options = msgspec.structs.replace(batch.options, language=entry.language or batch.options.language, formats=())
        return Job(
            job_id=job_id,
            account_id=batch.account_id,
            dialect=batch.dialect,
            options=options,
            # what was brought or fetched was never summed as a whole
            source=UploadedSource(BlobRef(source_key(job_id), size_bytes, None)),
            created_at=batch.created_at,
            changed_at=self._clock.now(),
            run=batch.run,
            batch_id=batch.job_id,
            priority=batch.priority,
            limits=batch.limits,
        )
