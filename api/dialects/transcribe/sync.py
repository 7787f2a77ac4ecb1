"""A recording comes in, and its transcript is the answer. Who goes away, or waits too long, finds it as a job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from api.body import ClientGone, left
from api.config import MIB, ApiConfig
from api.dialects.transcribe import translate
from api.dialects.transcribe.faults import fault_of, too_long
from api.dialects.transcribe.jobs import DIALECT, JobRoutes
from api.dialects.transcribe.jobs import LIMITS as OF_ANY_JOB
from api.dialects.transcribe.options import chain_of, options_of
from api.dialects.transcribe.wire import SyncFields
from api.faces import Answer, HttpRequest, file_answer, json_answer
from api.forms import Forms, Submission, Upload
from api.multipart import NoFile
from api.once import fingerprint
from tiro.model.account import Account, ApiKey
from tiro.model.errors import Invalid, MediaRefused
from tiro.model.job import Job
from tiro.model.media import MediaLimits
from tiro.render import DOCUMENTS
from tiro.services.house import House
from tiro.services.joining import joined
from tiro.services.replays import name_of

LIMITS = MediaLimits(max_duration_s=600.5, max_bytes=30 * MIB)
"""Of a file: ten minutes; with the half second that the decoder grants, encoders may add one. What is fetched may be what any job may be,
and is one when it takes long.
"""
SAME_WITHIN = timedelta(seconds=60)
"""The same request by the same key so soon is one whose answer was lost."""
AT_ONCE, IN_TURN = 1, 3
"""Priorities: somebody waits for what is short; anything else."""
_OPERATION = "POST /v1/transcribe"


class Sync:
    """Takes a form in, and waits for what becomes of it."""

    def __init__(self, house: House, config: ApiConfig, forms: Forms, jobs: JobRoutes) -> None:
        self._house = house
        self._wait_s = config.limits.wait_s
        self._waits = config.limits.waits
        self._waiting = 0
        self._forms = forms
        self._jobs = jobs

    async def transcribe(self, request: HttpRequest, account: Account, key: ApiKey) -> Answer:
        """200 with the transcript, or with where the job stands. Raises what the faults of this dialect word."""
        async with self._received(request, account) as upload:
            fields = translate.sync_fields_of(upload.fields)
            job = await self._handed_in(self._submission(upload, fields, account), fields, key)
            if job.job_id != upload.job_id:
                await self._forms.give_up(upload.job_id)
        if fields.webhook_url is not None:
            return json_answer(translate.taken(job))
        return await self._answered(await self._waited(request, job))

    @contextlib.asynccontextmanager
    async def _received(self, request: HttpRequest, account: Account) -> AsyncIterator[Upload]:
        """The form, while a job is made of it; what is wrong with either, in the codes of this dialect."""
        try:
            async with self._forms.receive(request, account, max_bytes=LIMITS.max_bytes, queues=True) as upload:
                yield upload
        except NoFile:
            raise _no_file() from None
        except MediaRefused as refused:
            raise too_long(LIMITS) if refused.reason == "duration_exceeds_limit" else refused from None
        except Invalid as wrong:
            if wrong.code != "invalid_request":
                raise
            raise Invalid("invalid_form_data", wrong.message, **wrong.extras) from None

    def _submission(self, upload: Upload, fields: SyncFields, account: Account) -> Submission:
        """Raises Invalid `missing_file`, `invalid_request_options`."""
        if upload.file is None and fields.url is None:
            raise _no_file()
        if upload.file is not None and fields.url is not None:
            raise Invalid("invalid_request_options", "Send either a file or a url.", param="url")
        waited_for = upload.file is not None and fields.webhook_url is None
        return Submission(
            job_id=upload.job_id,
            account=account,
            dialect=DIALECT,
            options=options_of(fields, chain_of(account, self._house.chain)),
            file=upload.file,
            url=fields.url,
            webhook_url=fields.webhook_url,
            priority=AT_ONCE if waited_for else IN_TURN,
            reference=fields.reference_id,
            limits=OF_ANY_JOB if upload.file is None else LIMITS,
        )

    async def _handed_in(self, sent: Submission, fields: SyncFields, key: ApiKey) -> Job:
        """The new job, or the one that the same request made a moment ago."""
        asked = fingerprint((fields, sent.file and sent.file.sha256))
        name = name_of(sent.account.account_id, _OPERATION, f"{key.key_id}\0{asked}")
        return await joined(
            self._house.jobs, lambda once: self._forms.hand_in(sent, once), name, asked, within=SAME_WITHIN
        )

    async def _waited(self, request: HttpRequest, job: Job) -> Job:
        """Raises ClientGone: nobody reads the answer any more. The job goes on."""
        if self._waiting >= self._waits:
            return job
        self._waiting += 1
        ending = asyncio.ensure_future(self._house.waits.ended(job, self._wait_s))
        leaving = asyncio.ensure_future(left(request))
        try:
            await asyncio.wait([ending, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                raise ClientGone
            return ending.result()
        finally:
            self._waiting -= 1
            ending.cancel()
            leaving.cancel()
            await asyncio.gather(ending, leaving, return_exceptions=True)

    async def _answered(self, job: Job) -> Answer:
        if not job.ended:
            return await self._jobs.shown(job)
        if job.state != "completed":
            raise fault_of(job)
        document = DOCUMENTS[DIALECT]
        transcript = await self._house.jobs.transcript(job)
        return file_answer(await asyncio.to_thread(document.single, job, transcript), document.media_type)


def _no_file() -> Invalid:
    return Invalid("missing_file", param="file")
