"""How does a request become a job? Its bytes lie below the job's prefix from the first one, and are gone when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from api.config import RequestLimits
from api.faces import HttpRequest
from api.multipart import FormLimits, boundary_of, receive_form
from tiro.model.account import Account
from tiro.model.blob import BlobRef, job_prefix, source_key
from tiro.model.errors import MediaRefused, NotFound, TiroError
from tiro.model.job import Job
from tiro.model.media import MediaLimits, MediaProbe
from tiro.model.replay import Replay
from tiro.model.request import JobOptions, JobRequest, Source, UploadedSource, narrowed
from tiro.ports import BlobWriter
from tiro.services.house import House
from tiro.services.replays import Once

GLANCES = 6
"""At once, each with a decoder child; who waits for one too long goes without."""


class Upload(msgspec.Struct, frozen=True):
    """A form that has come in whole: the id of the job to be, its text fields, and where the file lies."""

    job_id: str
    fields: dict[str, str]
    file: BlobRef | None
    begun: bool = True
    """False: it was no form, and nothing was begun for it."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialect has understood of a request for a job. Without a file the recording lies at `url`."""

    job_id: str
    account: Account
    dialect: str
    options: JobOptions
    file: BlobRef | None = None
    url: str | None = None
    webhook_url: str | None = None
    accept_overage: bool = False
    priority: int = 3
    reference: str | None = None
    limits: MediaLimits | None = None
    brought: bool = True
    """As of JobRequest."""


class Forms:
    """Receives forms for every dialect: the same order of checks, the same limits, the same cleaning up."""

    def __init__(self, house: House, limits: RequestLimits) -> None:
        self._house = house
        self._limits = limits
        self._eyes = ThreadPoolExecutor(GLANCES, thread_name_prefix="glance")

    @contextlib.asynccontextmanager
    async def receive(
        self,
        request: HttpRequest,
        account: Account,
        name: str | None = None,
        *,
        max_bytes: int | None = None,
        queues: bool = False,
    ) -> AsyncIterator[Upload]:
        """The upload, while the caller makes a job of it; leaving with an error removes the bytes, unless the job exists.

        `name`: that of a request which is carried out once; an answer that is kept under it needs no room.
        `max_bytes`: this route's own cap instead of the plan's. `queues`: it waits in line, whatever
        the account does elsewhere.
        Raises Invalid, TooLarge, RateLimited before the body is read; Invalid, TooLarge, Transient while it is.
        """
        limits = FormLimits(max_bytes or self._house.plans.of(account).max_bytes, self._limits)
        boundary_of(request, limits)
        if not queues:
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

    async def hand_in(self, sent: Submission, once: Once | None = None) -> Job | Replay:
        """Make a job of it. What costs less than looking into the file is said first, and what was said before is said first of all.

        Raises Invalid, MediaRefused, and as `Intake.submit`.
        """
        replay = await self._house.intake.replayed(once)
        if replay is not None:
            return replay
        self._house.intake.check_options(sent.options, sent.account)
        if sent.webhook_url is not None:
            await self._house.intake.check_webhook_url(sent.webhook_url)
        source, known_s = await self._source(sent)
        asked = JobRequest(
            job_id=sent.job_id,
            account_id=sent.account.account_id,
            dialect=sent.dialect,
            options=sent.options,
            source=source,
            webhook_url=sent.webhook_url,
            accept_overage=sent.accept_overage,
            brought=sent.brought,
            known_duration_s=known_s,
            priority=sent.priority,
            reference=sent.reference,
            limits=sent.limits,
        )
        return await self._house.intake.submit(asked, once)

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

    async def _source(self, sent: Submission) -> tuple[Source, float | None]:
        """Where the recording is, and how long it claims to be."""
        if sent.file is not None:
            limits = narrowed(sent.limits or self._house.plans.of(sent.account).limits, sent.options)
            return UploadedSource(sent.file), await self._glance(sent.file, limits)
        assert sent.url is not None
        await self._house.intake.check_source_url(sent.url)
        return self._house.intake.seal_url(sent.url), None

    async def _glance(self, blob: BlobRef, limits: MediaLimits) -> float | None:
        """Seconds that the recording claims to last; None where that cannot be said at once. Raises MediaRefused for what can.

        Only small files in a folder are looked at, and only for a moment: the rest is found out later by a worker.
        """
        if blob.size_bytes == 0:
            raise MediaRefused("empty_audio", "The file is empty.")
        path = self._house.blobs.local_path(blob.key)
        if path is None or blob.size_bytes > self._limits.glance_bytes:
            return None
        stop = threading.Event()
        glance, loop = self._house.preparer.glance, asyncio.get_running_loop()
        looking = loop.run_in_executor(self._eyes, glance, path, limits, stop)
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
