"""What an owner or an operator does with jobs: look, list, cancel, delete, retry, pause, read the transcript."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tiro.model.account import Account
from tiro.model.blob import job_prefix, result_key, transcript_key
from tiro.model.errors import Conflict, Invalid, NotFound, Permanent, Transient
from tiro.model.hook import Attempt, Delivery
from tiro.model.job import Job, JobState, Order, keeps_source
from tiro.model.pace import remaining_s
from tiro.model.transcript import StoredTranscript
from tiro.ports import Blobs, Clock, Orchestrator, Records
from tiro.render import FORMATS
from tiro.services.ending import Endings
from tiro.services.upkeep import remove_content, tombstone


class Progress(msgspec.Struct, frozen=True):
    """How far a job is. `eta_s` None: not known yet. `speed`: seconds of audio done per second."""

    progress: float
    eta_s: float | None
    speed: float | None


class Rendered(msgspec.Struct, frozen=True):
    """A file of the transcript."""

    name: str
    media_type: str
    body: bytes


class Jobs:
    """Jobs as their owner sees them (`account_id` given) or as an operator does (None). Another's job is an unknown job."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        orchestrator: Orchestrator,
        endings: Endings,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._records = records
        self._blobs = blobs
        self._orchestrator = orchestrator
        self._endings = endings
        self._clock = clock
        self._wake = wake

    async def get(self, job_id: str, account_id: str | None = None) -> Job:
        """Raises NotFound."""
        async with self._records.look() as tx:
            job = await tx.jobs.get(job_id, account_id)
        # a file of a batch is known to its owner by its batch alone
        if job is None or job.deleted_at is not None or (account_id is not None and job.batch_id is not None):
            raise NotFound("not_found", "There is no such job.")
        return job

    async def page(
        self,
        account_id: str | None,
        *,
        dialect: str | None = None,
        reference: str | None = None,
        state: JobState | None = None,
        changed_since: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest change first."""
        async with self._records.look() as tx:
            return await tx.jobs.page(
                account_id,
                dialect=dialect,
                reference=reference,
                state=state,
                changed_since=changed_since,
                after=after,
                limit=limit,
            )

    async def deliveries(self, job_id: str) -> list[tuple[Delivery, list[Attempt]]]:
        """The webhook events of a job, oldest first, each with its attempts."""
        async with self._records.look() as tx:
            return [
                (delivery, await tx.hooks.attempts(delivery.event_id)) for delivery in await tx.hooks.of_job(job_id)
            ]

    async def events(self, jobs: Sequence[Job]) -> dict[str, list[Delivery]]:
        """Job -> its webhook events, oldest first, for all of these at once; without the attempts."""
        asked = [job.job_id for job in jobs if job.webhook_url is not None and job.ended]
        if not asked:
            return {}
        async with self._records.look() as tx:
            return await tx.hooks.of_jobs(asked)

    def progress(self, job: Job) -> Progress:
        """From the row alone."""
        return progress_of(job, self._clock.now())

    async def cancel(self, job_id: str, account_id: str | None = None) -> Job:
        """Cancelled at once in the record; the workflow hears of it. Again: the same job. Raises NotFound, Conflict `job_ended`."""
        job = await self.get(job_id, account_id)
        if job.state in {"completed", "failed"}:
            raise Conflict("job_ended", "The job has ended already.", status=job.state)
        order = Order("cancel", job_id, job.run)
        settled = await self._endings.end(job_id, job.run, "cancelled", orders=(order,))
        if settled.job.state != "cancelled":
            raise Conflict("job_ended", "The job has ended already.", status=settled.job.state)
        if settled.job.started_at is None:
            # this run has not begun, and so nobody else empties it; one before may have left more than the source
            await asyncio.to_thread(remove_content, self._blobs, job_id)
        return settled.job

    async def delete(self, job_id: str, account_id: str | None = None) -> Job | None:
        """Running: cancel it and return it. Ended: tombstone, stop its webhooks, remove its content; None. Raises NotFound."""
        job = await self.get(job_id, account_id)
        if not job.ended:
            # a Conflict: it ended by itself after we looked
            with contextlib.suppress(Conflict):
                return await self.cancel(job_id, account_id)
        async with self._records.begin() as tx:
            await tombstone(tx, job_id, self._clock.now())
        await asyncio.to_thread(self._blobs.delete_prefix, job_prefix(job_id))
        return None

    async def retry(self, job_id: str, account_id: str | None = None) -> Job:
        """A failed job becomes its next run, and so does a batch of which files failed; what is done is not done again.

        Raises Conflict `source_deleted`, `not_failed`, Transient.
        """
        job = await self.get(job_id, account_id)
        if job.state != "failed" and not (job.state == "completed" and job.files_failed):
            raise Conflict("not_failed", "Only a failed job can be retried.", status=job.state)
        now = self._clock.now()
        async with self._records.begin() as tx:
            _check_source(job, await tx.accounts.get(job.account_id), now)
            ended = await tx.jobs.lock(job_id)
            again = await tx.jobs.retry(job_id, now)
            if ended is not None and again is not None and again.is_batch:
                # of a run that failed nothing was charged: the next one pays for what it takes over
                await tx.batches.begin_again(job_id, again.run, unpaid=ended.state == "failed")
        if again is None:
            raise Conflict("not_failed", "Only a failed job can be retried.")
        self._wake()
        return again

    async def steer(self, job_id: str, update: str, *args: Any) -> None:
        """`pause`, `resume` or `reprioritize`. Raises NotFound, Conflict, Transient."""
        job = await self.get(job_id)
        if job.ended:
            raise Conflict("job_ended", "The job has ended already.", status=job.state)
        await self._orchestrator.steer(job_id, job.run, update, *args)

    async def live(self, job: Job) -> dict[str, Any] | None:
        """What the workflow itself says, when it says it at once."""
        return None if job.ended else await self._orchestrator.progress(job.job_id, job.run)

    async def transcript(self, job: Job) -> StoredTranscript:
        """Raises Conflict `not_ready`, `job_cancelled`; for a failed job its own error."""
        _check_completed(job)
        return await asyncio.to_thread(self._transcript, job.job_id)

    async def rendered(self, job: Job, format_name: str) -> Rendered:
        """A file of the transcript, from the store or made now. Raises Invalid `invalid_format`, and as `transcript`."""
        if format_name not in FORMATS:
            raise Invalid("invalid_format", f"The formats are {', '.join(FORMATS)}.", param="format")
        _check_completed(job)
        form = FORMATS[format_name]
        body = await asyncio.to_thread(self._stored_or_made, job.job_id, format_name)
        return Rendered(f"{job.job_id}.{form.extension}", form.media_type, body)

    def _transcript(self, job_id: str) -> StoredTranscript:
        return StoredTranscript.read(self._blobs.get(transcript_key(job_id)))

    def _stored_or_made(self, job_id: str, format_name: str) -> bytes:
        key = result_key(job_id, format_name)
        if self._blobs.head(key) is not None:
            return self._blobs.get(key)
        return FORMATS[format_name].render(self._transcript(job_id))


def _check_completed(job: Job) -> None:
    if job.is_batch:
        raise NotFound("not_found", "A batch has a document, and no transcript of its own.")
    match job.state:
        case "completed":
            return
        case "failed":
            raise Permanent(job.error_code, "The job failed.", **{**job.error_extras, "reason": job.error_reason})
        case "cancelled":
            raise Conflict("job_cancelled", "The job was cancelled.", status=job.state)
        case _:
            raise Conflict("not_ready", "The transcript is not ready yet.", status=job.state)


def _check_source(job: Job, account: Account | None, now: datetime) -> None:
    """A source that is due is gone, or will be at any moment; one that is kept may be heard again once the sweep has left it."""
    if job.awaiting:
        raise Conflict("source_deleted", "The recording of this job was never brought.")
    due = job.purge_after is not None and now >= job.purge_after
    if job.source_deleted_at is not None or (due and not keeps_source(job, account)):
        raise Conflict("source_deleted", "The recording of this job has been deleted.")
    if due and job.trimmed_at is None:
        raise Transient("being_swept", "What was made of this recording is being removed; try again in ten minutes.")


def progress_of(job: Job, now: datetime) -> Progress:
    """Progress by spans; the estimate by the pace of those that were heard. What follows the last span is not estimated."""
    if job.ended or job.started_at is None or not job.spans_done or not job.spans_total or not job.decoded_s:
        return Progress(job.progress, 0.0 if job.ended else None, None)
    elapsed_s = max(0.001, (now - job.started_at).total_seconds())
    speed = job.decoded_s * job.spans_done / job.spans_total / elapsed_s
    left = job.spans_total - job.spans_done
    if left <= 0:
        return Progress(job.progress, 0.0, speed)
    return Progress(job.progress, remaining_s(job.pace, left, elapsed_s) if job.pace else None, speed)
