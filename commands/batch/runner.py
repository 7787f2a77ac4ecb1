"""How does a plan become results? Handed over, brought, watched, fetched, split; several of the server's batches beside each other."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from api.dialects.transcribe.jobs_wire import JobAnswer
from commands.batch.board import Board
from commands.batch.client import BatchClient, Refused
from commands.batch.documents import NotADocument
from commands.batch.journal import Asked, Created, Ended, Handover, Journal, Started, Withdrawn
from commands.batch.manifest import Entry
from commands.batch.plan import Plan, stamp_of
from commands.batch.results import LOST, Results
from commands.batch.uploads import Uploads

GONE = "gone"
_OVER = frozenset({"completed", "failed", "insufficient_funds"})
_EXPIRED = "failed_upload_expired"


class Runner:
    """One call's work. Raises Refused, NotWritten."""

    def __init__(
        self,
        client: BatchClient,
        journal: Journal,
        results: Results,
        board: Board,
        *,
        language: str | None,
        every_s: float,
    ) -> None:
        self._client = client
        self._journal = journal
        self._results = results
        self._board = board
        self._language = language
        self._every_s = every_s
        self._fresh: set[str] = set()

    async def look_back(self) -> None:
        """What became of open handovers meanwhile: those that the server has given up are to be handed over anew."""
        for handover in [one for one in self._journal.handovers.values() if one.open and one.job_id]:
            job = await self._look(handover)
            if job is None or job.status == _EXPIRED:
                self._journal.add(Ended(handover.ask, GONE))
            elif job.status != "uploading" and not handover.started:
                self._journal.add(Started(handover.ask))

    async def run(self, plan: Plan, entries: Mapping[str, Entry]) -> None:
        """Uploads one after the other, since they share a line; everything else beside each other."""
        try:
            async with asyncio.TaskGroup() as group:
                # one after the other: what is not asked yet is nowhere in the journal
                for handover in itertools.chain(plan.open, map(self._asked, plan.fresh)):
                    await self._hand_over(handover, entries)
                    group.create_task(self._follow(handover))
                for handover in plan.fetch:
                    await self._fetch_again(handover)
        except BaseExceptionGroup as many:
            raise many.exceptions[0] from None

    async def cancel(self) -> None:
        """Everything of ours that the server still works on."""
        for handover in [one for one in self._journal.handovers.values() if one.open and one.job_id]:
            await self._client.cancel(handover.job_id or "")
            self._results.fail(handover, "cancelled", "It was cancelled.")
            self._journal.add(Ended(handover.ask, "cancelled"))

    def _asked(self, entries: Sequence[Entry]) -> Handover:
        ask = secrets.token_hex(16)
        self._journal.add(Asked(ask, {entry.reference: stamp_of(entry) for entry in entries}))
        self._fresh.add(ask)
        return self._journal.handovers[ask]

    async def _hand_over(self, handover: Handover, entries: Mapping[str, Entry]) -> None:
        """Until the server has all that it needs."""
        if handover.started:
            return
        # what was changed or taken off the list since is not what was handed over
        ours = [
            entries[name]
            for name, stamp in handover.stamps.items()
            if name in entries and stamp_of(entries[name]) == stamp
        ]
        if handover.job_id is None:
            await self._create(handover, ours)
        files = [entry for entry in ours if entry.file is not None]
        if files:
            missing = sum(entry.size_bytes for entry in files if entry.reference not in handover.brought)
            self._board.bringing(len(files) - len(handover.brought), missing)
            await Uploads(self._client, self._journal, handover, self._board.brought).run(files)
            await self._client.complete(handover.job_id or "")
        self._journal.add(Started(handover.ask))

    async def _create(self, handover: Handover, ours: Sequence[Entry]) -> None:
        """Of one that an earlier call asked for, nobody knows here whether the server took it then."""
        try:
            job_id = await self._client.create(handover.ask, ours, self._language)
        except BaseException:
            if handover.ask in self._fresh and not self._client.perhaps_taken(handover.ask):
                self._journal.add(Withdrawn(handover.ask))
            raise
        self._journal.add(Created(handover.ask, job_id))

    async def _follow(self, handover: Handover) -> None:
        """To its end."""
        while (job := await self._look(handover)) is not None and job.job_status not in _OVER:
            self._board.seen(handover.ask, job.processed_files, job.failed_files)
            await asyncio.sleep(self._every_s)
        if job is None:
            self._results.fail(handover, GONE, "The server knows nothing of it any more.")
            self._journal.add(Ended(handover.ask, GONE))
        elif job.job_status == "completed":
            await self._fetch(handover, job)
            self._board.seen(handover.ask, job.total_files, job.failed_files)
            self._journal.add(Ended(handover.ask, job.status, job.cost))
        else:
            self._results.fail(handover, _text(job.code, job.status), _text(job.error, "It failed."))
            self._journal.add(Ended(handover.ask, job.status, job.cost))
            self._board.seen(handover.ask, len(handover.stamps), len(handover.stamps))

    async def _fetch(self, handover: Handover, job: JobAnswer, *, again: bool = False) -> None:
        document = self._journal.folder / f"{job.job_id}.json"
        try:
            await self._client.fetch(_text(job.result_url, ""), document)
            await asyncio.to_thread(self._results.mend if again else self._results.split, document, handover)
        except NotADocument as wrong:
            raise Refused(LOST, f"What the server gave as the result of {job.job_id} is none: {wrong}") from None
        finally:
            document.unlink(missing_ok=True)

    async def _fetch_again(self, handover: Handover) -> None:
        job = await self._look(handover)
        if job is None or job.result_url is UNSET:
            self._board.say(
                f"The results of {handover.job_id} are no longer at the server: their missing files stay missing."
            )
            return
        await self._fetch(handover, job, again=True)

    async def _look(self, handover: Handover) -> JobAnswer | None:
        """None: the server does not know it."""
        try:
            return await self._client.look(handover.job_id or "")
        except Refused as refused:
            if refused.status == 404 and refused.code == "job_not_found":
                return None
            raise


def _text(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise
