"""From addresses of a manifest to bytes in the store: several at a time, few of one host, and never for long."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec
from temporalio import activity

from activities.batch_tasks import Brought, FetchPackTask
from activities.entries import Entries
from activities.heartbeat import beating
from activities.room import NoRoom, Room, RoomWriter
from activities.threads import Threads
from activities.troubles import Troubles
from tiro.model.batch import ManifestEntry
from tiro.model.blob import file_id, source_key
from tiro.model.errors import TooLarge
from tiro.model.job import Job
from tiro.model.media import MediaLimits
from tiro.model.request import UrlSource
from tiro.ports import Blobs, Fetcher
from tiro.services.batch_line import BatchLine
from tiro.services.line import Line

FETCHES = 8
"""Addresses that one pack opens at once."""
OF_ONE_HOST = 4
"""Of these: a host that says nothing keeps no other waiting."""
BEGINS_FOR_S = 20.0
"""After that no address is opened any more: the place is another's turn, and who is more urgent comes first."""


class PackFetch:
    """`fetch_pack`. What is there already is not fetched again; a file's trouble is its own."""

    def __init__(
        self,
        line: Line,
        files: BatchLine,
        blobs: Blobs,
        fetcher: Fetcher,
        threads: Threads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._files = files
        self._blobs = blobs
        self._fetcher = fetcher
        self._threads = threads
        self._clock = clock
        self._entries = Entries(files, blobs, threads)

    @activity.defn(name="fetch_pack")
    async def fetch_pack(self, task: FetchPackTask) -> Brought:
        """Bytes, the files whose turn has not come, and those to be asked for again; the others are there, or have failed."""
        async with beating():
            job = await self._line.job(task.job_id, task.run)
            limits = await self._line.limits(job)
            troubles = Troubles(self._line, job.job_id, job.run, "fetch_pack")
            entries = await self._entries.waiting(job, task.files)
            until_s = self._clock() + BEGINS_FOR_S
            fetched = await self.bring(job, entries, limits, task.room_bytes, troubles, until_s)
            await self._files.settle(troubles.ends())
            if troubles.ours is not None:
                raise troubles.ours
            wanted = {entry.index for entry in entries if entry.sealed_url is not None}
            return Brought(
                fetched_bytes=sum(fetched.values()),
                later=tuple(sorted(index for index in wanted - fetched.keys() if not troubles.has(index))),
                again=tuple(sorted(troubles.again)),
            )

    async def bring(
        self,
        job: Job,
        entries: Sequence[ManifestEntry],
        limits: MediaLimits,
        room_bytes: int,
        troubles: Troubles,
        until_s: float | None = None,
    ) -> dict[int, int]:
        """Index -> bytes of what has an address and is there now. Nothing begins after `until_s`. Raises `batch_too_large`."""
        room, places = Room(room_bytes), asyncio.Semaphore(FETCHES)
        hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(OF_ONE_HOST))
        caps = msgspec.structs.replace(limits, max_bytes=min(limits.max_bytes, room_bytes))
        fetched: dict[int, int] = {}

        async def bring(entry: ManifestEntry, url: str) -> None:
            # the host's place first: who waits for that keeps none of the others
            async with hosts[urlsplit(url).netloc], places:
                if until_s is not None and self._clock() >= until_s:
                    return
                try:
                    fetched[entry.index] = await self._brought(job, entry, url, caps, room)
                except TooLarge as refused:
                    if caps.max_bytes < limits.max_bytes:
                        raise NoRoom from None
                    await troubles.add(entry.index, refused)
                except (asyncio.CancelledError, NoRoom):
                    raise
                except Exception as error:  # noqa: BLE001 (a file's trouble is its own)
                    await troubles.add(entry.index, error)

        async with asyncio.TaskGroup() as group:
            for entry in entries:
                if entry.sealed_url is not None:
                    group.create_task(bring(entry, self._line.source_url(UrlSource(entry.sealed_url))))
        return fetched

    async def _brought(self, job: Job, entry: ManifestEntry, url: str, limits: MediaLimits, room: Room) -> int:
        key = source_key(file_id(job.job_id, entry.index))
        there = await self._threads.run(self._blobs.head, key)
        if there is not None:
            room.take(there.size_bytes)
            return there.size_bytes
        fetched = await self._threads.run_stoppable(
            lambda stop: self._fetcher.fetch(url, limits, lambda _: RoomWriter(self._blobs.writer(key), room), stop)
        )
        return (await self._line.keep(job.job_id, job.run, fetched.blob)).size_bytes
