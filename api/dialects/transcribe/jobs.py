"""The routes of work that is asked about later: create, bring the bytes, look, fetch the result, give up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.body import LongJson, read_json
from api.config import MIB, ApiConfig
from api.dialects.transcribe import jobs_answers as answers
from api.dialects.transcribe import jobs_translate as translate
from api.dialects.transcribe.door import Door
from api.dialects.transcribe.jobs_answers import Link, Seen
from api.dialects.transcribe.jobs_translate import Batch, BigFile
from api.dialects.transcribe.jobs_wire import FileUpload, Resumed, UploadUrls
from api.dialects.transcribe.options import chain_of
from api.faces import Answer, HttpRequest, json_answer
from api.once import fingerprint, once_name, replay_headers
from tiro.model.account import Account
from tiro.model.batch import MAX_BYTES, ManifestEntry
from tiro.model.blob import file_id, source_key
from tiro.model.errors import Conflict, Invalid, NotFound
from tiro.model.ids import is_id
from tiro.model.job import Job
from tiro.model.media import MediaLimits
from tiro.model.replay import Replay
from tiro.model.request import JobRequest
from tiro.model.upload import Wanted
from tiro.services.house import House
from tiro.services.replays import Once
from tiro.sign.passes import RESULTS_LIVE

DIALECT = "transcribe"
MANIFEST_BYTES = 8 * MIB
"""10,000 files with an address of 600 characters each."""
MANIFEST_VALUES = 200_000
LIMITS = MediaLimits(max_duration_s=10 * 3600.0, max_bytes=MAX_BYTES)
"""Of each recording of a job, whatever the account's plan says of other dialects."""


class JobRoutes:
    """Create, bring the bytes, look, fetch the result."""

    def __init__(self, house: House, config: ApiConfig, door: Door) -> None:
        self._house = house
        self._limits = config.limits
        self._manifest = LongJson(msgspec.structs.replace(config.limits, json_bytes=MANIFEST_BYTES), MANIFEST_VALUES)
        self._door = door

    def handlers(self) -> list[HTTPRouteHandler]:
        return [
            post("/v1/jobs", status_code=200)(self.submit),
            post("/v1/jobs/{job_id:str}/upload-urls", status_code=200)(self.upload_urls),
            post("/v1/jobs/{job_id:str}/resume-upload", status_code=200)(self.resume_upload),
            post("/v1/transcribe/{job_id:str}/upload-completed", status_code=200)(self.upload_completed),
            get("/v1/transcribe/{job_id:str}")(self.show),
            get("/v1/transcribe/{job_id:str}/result")(self.result),
            delete("/v1/transcribe/{job_id:str}", status_code=200)(self.delete),
        ]

    async def submit(self, request: HttpRequest) -> Answer:
        account, _ = await self._door.submitter(request)
        return await self.create(request, account)

    async def create(self, request: HttpRequest, account: Account) -> Answer:
        """The JSON of a job; who asks is known and counted. Raises Invalid, FundsShort, Transient."""
        with _in_words_of_a_job():
            chain = chain_of(account, self._house.chain)
            asked = await self._manifest.read(request, lambda body: translate.asked_of(body, chain))
            if asked.webhook_url is not None:
                await self._house.intake.check_webhook_url(asked.webhook_url)
            name = once_name(request, account, "POST /v1/jobs")
            if isinstance(asked, BigFile):
                taken, uploads = await self._big_file(asked, account, _once_of(name, asked))
            else:
                once = await asyncio.to_thread(_once_of, name, asked)
                taken, uploads = await self._batch(asked, account, once)
        if isinstance(taken, Replay):
            told = taken.answer
        elif len(uploads) > 1:
            told = await asyncio.to_thread(_created, taken, uploads)
        else:
            told = _created(taken, uploads)
        headers = {"content-type": "application/json", **replay_headers(taken)}
        return Answer(told, status_code=200, headers=headers)

    async def upload_urls(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._of(await self._door.uploader(request), job_id)
        with _in_words_of_a_job():
            page = await self._manifest.read(request, translate.page_of)
        async with self._refusals(job):
            if not (job.is_batch and job.awaiting):
                raise Conflict("invalid_job_status", "Upload URLs are for batches that are still uploading.")
            entries = await self._house.batches.named(job, [one.reference for one in page])
            wanted = [_wanted(job, entries.get(one.reference), one) for one in page]
            how = await self._house.uploads.instructions(job.job_id, wanted)
        uploads = [
            answers.file_upload(one.reference, one.name or entries[one.reference].name, each)
            for one, each in zip(page, how, strict=True)
        ]
        return json_answer(UploadUrls(job.job_id, uploads))

    async def resume_upload(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._of(await self._door.uploader(request), job_id)
        with _in_words_of_a_job():
            told = translate.resume_of(await read_json(request, self._limits))
        upload_id = told.upload_id if told.type == "multipart" else None
        async with self._refusals(job):
            how = await self._house.uploads.resume(job.job_id, told.key or "", upload_id, job.account_id)
        return json_answer(Resumed(job.job_id, answers.upload_of(how)))

    async def upload_completed(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._job(request, job_id)
        async with self._refusals(job):
            arrived = await self._house.uploads.arrived(job.job_id, job.account_id)
        return json_answer(answers.upload_completed(await self._seen(arrived)))

    async def show(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return await self.shown(await self._job(request, job_id))

    async def result(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        now = await self._seen(await self._job(request, job_id))
        if not now.has_result:
            raise Conflict("result_not_available", "The result is not available.", job_status=now.job_status)
        return Answer(b"", status_code=302, headers={"Location": self._link(now).url, "Cache-Control": "no-store"})

    async def delete(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        """What is under way is cancelled and can still be asked about; what has ended is gone."""
        job = await self._job(request, job_id)
        async with self._refusals(job):
            cancelled = await self._house.jobs.delete(job.job_id, job.account_id)
        return Answer(b"", status_code=204) if cancelled is None else await self.shown(cancelled)

    async def shown(self, job: Job) -> Answer:
        """As GET /v1/transcribe/{job_id} tells it."""
        now = await self._seen(job)
        return json_answer(answers.job_answer(now, self._link(now) if now.has_result else None))

    async def _big_file(
        self, asked: BigFile, account: Account, once: Once | None
    ) -> tuple[Job | Replay, list[FileUpload]]:
        intake = self._house.intake
        if asked.url is not None:
            await intake.check_source_url(asked.url)
            request = self._request(asked, account, source=intake.seal_url(asked.url), brought=False)
            return await intake.submit(request, once), []
        job, how = await self._house.uploads.open_single(self._request(asked, account, source=asked.awaited))
        return job, [answers.file_upload(asked.file_reference, asked.name, how)]

    async def _batch(self, asked: Batch, account: Account, once: Once | None) -> tuple[Job | Replay, list[FileUpload]]:
        request = self._request(asked, account, source=translate.NOTHING_YET)
        job = await self._house.batches.submit(
            request, asked.files, declared_files=asked.declared_files, declared_bytes=asked.declared_bytes, once=once
        )
        brought = [(index, file) for index, file in enumerate(asked.files) if file.url is None]
        if isinstance(job, Replay) or not asked.told_at_once or not brought:
            return job, []
        wanted = [
            Wanted(source_key(file_id(job.job_id, index)), file.size_bytes, file.media_type) for index, file in brought
        ]
        how = await self._house.uploads.instructions(job.job_id, wanted)
        return job, [
            answers.file_upload(file.reference, file.name, each) for (_, file), each in zip(brought, how, strict=True)
        ]

    def _request(self, asked: BigFile | Batch, account: Account, **source: Any) -> JobRequest:
        return JobRequest(
            job_id=self._house.intake.new_job_id(),
            account_id=account.account_id,
            dialect=DIALECT,
            options=asked.options,
            webhook_url=asked.webhook_url,
            reference=asked.reference,
            limits=LIMITS,
            **source,
        )

    async def _job(self, request: HttpRequest, text: str) -> Job:
        return await self._of(await self._door.account(request), text)

    async def _of(self, account: Account, text: str) -> Job:
        """The account's job of this dialect while it is kept; anything else is unknown."""
        if not is_id("job", text):
            raise _unknown()
        job = await self._found(text, account.account_id)
        if job.dialect != DIALECT or not job.is_kept(self._house.clock.now()):
            raise _unknown()
        return job

    async def _found(self, job_id: str, account_id: str) -> Job:
        try:
            return await self._house.jobs.get(job_id, account_id)
        except NotFound:
            raise _unknown() from None

    async def _seen(self, job: Job) -> Seen:
        return answers.seen(job, (await self._house.jobs.events([job])).get(job.job_id, ()))

    def _link(self, now: Seen) -> Link:
        """For seven days, or as long as the result is kept."""
        moment = self._house.clock.now()
        until = moment + RESULTS_LIVE
        kept = now.job.expires_at or until
        return Link(self._house.passes.result_url(now.job.job_id, moment), min(until, kept))

    @contextlib.asynccontextmanager
    async def _refusals(self, job: Job) -> AsyncIterator[None]:
        """What the state of a job does not allow is told with the state that it is in now."""
        try:
            yield
        except NotFound:
            raise _unknown() from None
        except Conflict as refused:
            now = await self._seen(await self._found(job.job_id, job.account_id))
            raise Conflict("invalid_job_status", refused.message, job_status=now.job_status) from None


def _once_of(name: str | None, asked: BigFile | Batch) -> Once | None:
    """An answer with addresses for uploads is not kept: whoever asks again gets another job, and the first expires unused."""
    files = [asked.url] if isinstance(asked, BigFile) else [file.url for file in asked.files if asked.told_at_once]
    if name is None or None in files:
        return None
    return Once(name, fingerprint(asked), lambda job: _created(job, []))


def _created(job: Job, uploads: list[FileUpload]) -> bytes:
    """Of a new job, of which there is nothing to tell yet."""
    return msgspec.json.encode(answers.created(answers.seen(job, ()), uploads))


def _wanted(job: Job, entry: ManifestEntry | None, asked: translate.PageFile) -> Wanted:
    """What is said of a file anew fills what its manifest left open, and contradicts nothing. Raises Invalid."""
    if entry is None or entry.sealed_url is not None:
        raise Invalid("invalid_file_metadata", "No file of this batch that is uploaded has this id.", param="file_id")
    size_bytes = translate.agreed(entry.size_bytes, asked.size_bytes, "size_bytes")
    media_type = translate.agreed(entry.media_type, asked.media_type, "content_type")
    return Wanted(source_key(file_id(job.job_id, entry.index)), size_bytes, media_type)


@contextlib.contextmanager
def _in_words_of_a_job() -> Iterator[None]:
    """Codes that mean a field of a form elsewhere."""
    try:
        yield
    except Invalid as wrong:
        raise Invalid(translate.CODES.get(wrong.code, wrong.code), wrong.message, **wrong.extras) from None


def _unknown() -> NotFound:
    return NotFound("job_not_found", "There is no such job.")
