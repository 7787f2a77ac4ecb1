"""What must happen although nobody asks: sources go in time, forgotten uploads and old answers go, and records agree with Temporal."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import msgspec

from tiro.model.blob import CONTENT, MADE, MEDIA, job_of, job_prefix
from tiro.model.errors import TiroError
from tiro.model.job import Job, keeps_source
from tiro.ports import Blobs, Clock, Orchestrator, Records, Transaction
from tiro.services.ending import Endings, Fault
from tiro.services.replays import KEPT_FOR

log = logging.getLogger("tiro.upkeep")

UPLOAD_KEPT_FOR = timedelta(hours=24)
UPLOAD_AWAITED_FOR = timedelta(days=7)
"""However much is heard of it."""
LOST_AFTER = timedelta(minutes=10)
_STUCK = 3
"""Jobs, or uploads, of one sweep whose content will not go: fewer are their own trouble, so many are the store's."""


class Swept(msgspec.Struct, frozen=True):
    """What one sweep did."""

    sources: int = 0
    uploads: int = 0
    lost: int = 0
    answers: int = 0
    expired: int = 0


class Upkeep:
    """One sweep; doing it twice, or two at once, is the same as once."""

    def __init__(
        self, records: Records, blobs: Blobs, orchestrator: Orchestrator, endings: Endings, clock: Clock
    ) -> None:
        self._records = records
        self._blobs = blobs
        self._orchestrator = orchestrator
        self._endings = endings
        self._clock = clock

    async def sweep(self) -> Swept:
        """Purge what is due, drop stale uploads, end what Temporal has lost, forget. Raises Transient when a store is away.

        One part that cannot be done keeps none of the others from being done.
        """
        counts: dict[str, int] = {}
        away: TiroError | None = None
        parts = {
            "expired": self._expire,
            "sources": self._purge,
            "uploads": self._drop_uploads,
            "lost": self._reconcile,
            "answers": self._forget,
        }
        for name, part in parts.items():
            try:
                counts[name] = await part()
            except TiroError as error:
                away = away or error
        if away is not None:
            raise away
        return Swept(**counts)

    async def empty(self, job_id: str) -> None:
        """Remove the content of a job without a result (not the bodies of its events, which are still to be delivered)."""
        await asyncio.to_thread(remove_content, self._blobs, job_id)

    async def _expire(self) -> int:
        """What was kept for a while only is deleted; the purge that follows empties it."""
        expired = 0
        while True:
            async with self._records.begin() as tx:
                now = self._clock.now()
                due = await tx.jobs.expired(now)
                for job_id in due:
                    await tombstone(tx, job_id, now)
            if not due:
                return expired
            expired += len(due)

    async def _purge(self) -> int:
        """All that is due, a page at a time. Deleted jobs stay due for a while: each is looked at once a sweep.

        One whose content the store will not let go holds up no other, and is tried again by the next sweep.
        """
        seen: set[str] = set()
        stuck = 0
        while True:
            async with self._records.begin() as tx:
                page = await tx.jobs.purgeable(self._clock.now())
            due = [job for job in page if job.job_id not in seen]
            if not due:
                return len(seen) - stuck
            for job in due:
                try:
                    await self._purge_one(job)
                except TiroError:
                    stuck += 1
                    if stuck == _STUCK:
                        raise
                    log.exception("the content of %s could not be removed", job.job_id)
            seen.update(job.job_id for job in due)

    async def _purge_one(self, job: Job) -> None:
        async with self._records.begin() as tx:
            account = await tx.accounts.get(job.account_id)
        if keeps_source(job, account):
            await asyncio.to_thread(_remove_below, self._blobs, job.job_id, MADE)
            async with self._records.begin() as tx:
                await tx.jobs.mark_trimmed(job.job_id, self._clock.now())
            return
        await asyncio.to_thread(self._remove, job)
        async with self._records.begin() as tx:
            await tx.jobs.mark_source_deleted(job.job_id, self._clock.now())

    def _remove(self, job: Job) -> None:
        if job.deleted_at is not None:
            self._blobs.delete_prefix(job_prefix(job.job_id))
        else:
            # of a job that was cancelled while its transcript was written, that goes too
            _remove_below(self._blobs, job.job_id, CONTENT if job.state == "cancelled" else MEDIA)

    async def _drop_uploads(self) -> int:
        """What was begun long ago and is still being brought, part by part, is no rest of a dead process.

        One that the store will not let go holds up no other, as in a purge.
        """
        now = self._clock.now()
        before, oldest = now - UPLOAD_KEPT_FOR, now - UPLOAD_AWAITED_FOR
        async with self._records.begin() as tx:
            alive = await tx.jobs.uploads_since(before)
        await asyncio.to_thread(self._blobs.abort_stale, before, lambda key: job_of(key) in alive)
        seen: set[str] = set()
        stuck = 0
        while True:
            async with self._records.begin() as tx:
                page = await tx.jobs.stale_uploads(before, oldest=oldest)
            stale = [job_id for job_id in page if job_id not in seen]
            if not stale:
                return len(seen) - stuck
            for job_id in stale:
                try:
                    await self._give_up(job_id)
                except TiroError:
                    stuck += 1
                    if stuck == _STUCK:
                        raise
                    log.exception("the upload of %s could not be given up", job_id)
            seen.update(stale)

    async def _give_up(self, job_id: str) -> None:
        """Of an upload that nothing was heard of for a day, or that is awaited for too long.

        Its job, if there is one that still awaits it, has failed.
        """
        async with self._records.begin() as tx:
            job = await tx.jobs.get(job_id)
        if job is None:
            await asyncio.to_thread(self._blobs.delete_prefix, job_prefix(job_id))
        elif job.awaiting and not job.ended:
            ended = await self._endings.end(job_id, job.run, "failed", Fault("upload_expired"))
            # the end has dropped the upload already: what cannot be removed now goes when the job is purged
            if ended.job.awaiting:
                await self.empty(job_id)
        async with self._records.begin() as tx:
            await tx.jobs.drop_upload(job_id)

    async def _reconcile(self) -> int:
        async with self._records.begin() as tx:
            suspects = await tx.jobs.running_since(self._clock.now() - LOST_AFTER)
        lost = [job for job in suspects if not await self._orchestrator.is_running(job.job_id, job.run)]
        for job in lost:
            await self._endings.end(job.job_id, job.run, "failed", Fault("transient_error", "lost"))
        return len(lost)

    async def _forget(self) -> int:
        """Answers that are given again no more, rates in which nothing counts, families whose tokens have all expired, old keys."""
        now = self._clock.now()
        async with self._records.begin() as tx:
            await tx.limits.forget(now)
            await tx.families.forget(now)
            await tx.signing_keys.forget(now)
            return await tx.replays.forget(now - KEPT_FOR)


async def tombstone(tx: Transaction, job_id: str, now: datetime) -> None:
    """Nobody sees the job any more, and its webhooks stop. Its content is for a purge to remove."""
    await tx.jobs.mark_deleted(job_id, now)
    for delivery in await tx.hooks.of_job(job_id):
        if delivery.state == "pending":
            await tx.hooks.set_state(delivery.event_id, "stopped")


def remove_content(blobs: Blobs, job_id: str) -> None:
    """All that was sent in and made of it. Blocking."""
    _remove_below(blobs, job_id, CONTENT)


def _remove_below(blobs: Blobs, job_id: str, names: tuple[str, ...]) -> None:
    for name in names:
        blobs.delete_prefix(job_prefix(job_id) + name)
