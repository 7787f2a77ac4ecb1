"""How do the bytes of a request become the source of a job? Below the job's prefix from the first byte, and gone when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import msgspec

from api.config import RequestLimits
from api.faces import HttpRequest
from api.multipart import FormLimits, boundary_of, receive_form
from tiro.model.account import Account
from tiro.model.blob import BlobRef, job_prefix, source_key
from tiro.model.errors import MediaRefused, NotFound, TiroError
from tiro.model.media import MediaLimits, MediaProbe
from tiro.ports import BlobWriter
from tiro.services.house import House


class Upload(msgspec.Struct, frozen=True):
    """A form that has come in whole: the id of the job to be, its text fields, and where the file lies."""

    job_id: str
    fields: dict[str, str]
    file: BlobRef | None


class Uploads:
    """Receives forms for every dialect: the same order of checks, the same limits, the same cleaning up."""

    def __init__(self, house: House, limits: RequestLimits) -> None:
        self._house = house
        self._limits = limits

    @contextlib.asynccontextmanager
    async def receive(self, request: HttpRequest, account: Account, name: str | None = None) -> AsyncIterator[Upload]:
        """The upload, while the caller makes a job of it; leaving with an error removes the bytes, unless the job exists.

        `name`: that of a request which is carried out once; an answer that is kept under it needs no room.
        Raises Invalid, TooLarge, RateLimited before the body is read; Invalid, TooLarge, Transient while it is.
        """
        limits = FormLimits(self._house.plans.of(account).max_bytes, self._limits)
        boundary_of(request, limits)
        await self._house.intake.check_room(account, name)
        job_id = self._house.intake.new_job_id()
        await self._house.intake.begin_upload(job_id, account.account_id)

        async def open_writer() -> BlobWriter:
            return await asyncio.to_thread(self._house.blobs.writer, source_key(job_id))

        try:
            form = await receive_form(request, limits, open_writer)
            yield Upload(job_id, form.fields, form.file)
        except BaseException:
            await self.give_up(job_id)
            raise

    async def give_up(self, job_id: str) -> None:
        """Remove the bytes of what is to be no job. What cannot be cleaned now is found by upkeep.

        A submit that failed may yet have been committed: then all stays.
        """
        with contextlib.suppress(TiroError):
            try:
                await self._house.jobs.get(job_id)
            except NotFound:
                await asyncio.to_thread(self._house.blobs.delete_prefix, job_prefix(job_id))
                await self._house.intake.drop_upload(job_id)

    async def glance(self, blob: BlobRef, account: Account) -> float | None:
        """Seconds that the recording claims to last; None where that cannot be said at once. Raises MediaRefused for what can.

        Only small files in a folder are looked at, and only for a moment: the rest is found out later by a worker.
        """
        if blob.size_bytes == 0:
            raise MediaRefused("empty_audio", "The file is empty.")
        path = self._house.blobs.local_path(blob.key)
        if path is None or blob.size_bytes > self._limits.glance_bytes:
            return None
        plan, stop = self._house.plans.of(account), threading.Event()
        limits = MediaLimits(max_duration_s=float(plan.max_duration_s), max_bytes=plan.max_bytes)
        looking = asyncio.ensure_future(asyncio.to_thread(self._house.preparer.glance, path, limits, stop))
        try:
            await asyncio.wait([looking], timeout=self._limits.glance_s)
            late = not looking.done()
        finally:
            stop.set()
        found = (await asyncio.gather(looking, return_exceptions=True))[0]
        return None if late else _claim(found)


def _claim(found: MediaProbe | BaseException) -> float | None:
    """A decoder that is away or stumbles says nothing: the workers will look again."""
    match found:
        case MediaRefused():
            raise found
        case MediaProbe(duration_s=claimed_s):
            return claimed_s
        case _:
            return None
