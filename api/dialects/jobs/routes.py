"""The routes of the `jobs` dialect: unpack, call a service, pack."""

from __future__ import annotations

import asyncio

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.body import media_type, read_json, take
from api.config import ApiConfig
from api.dialects.jobs import translate
from api.dialects.jobs.faults import answer
from api.dialects.jobs.openapi import document
from api.dialects.jobs.wire import FORMATS, JobFields, JobsPage, RefreshRequest, TokenAnswer, TokenRequest
from api.faces import Answer, Cors, Face, HttpRequest, file_answer, json_answer
from api.forms import Forms, Submission, Upload
from api.identity import Identity, Tokens
from api.once import once_name, replay_headers
from tiro.model.account import Account
from tiro.model.errors import Conflict, Invalid, NotFound
from tiro.model.job import Job
from tiro.model.replay import Replay
from tiro.model.transcript import StoredTranscript
from tiro.services.house import House
from tiro.services.limiter import Limiter, Rate

PREFIXES = ("/auth", "/jobs")


def face(house: House, config: ApiConfig, identity: Identity, forms: Forms) -> Face:
    """The dialect as the app takes it in."""
    limiter = Limiter(house.records, house.clock)
    auth = AuthRoutes(config, identity, limiter)
    jobs = JobRoutes(house, config, identity, forms, limiter)
    return Face(PREFIXES, (*auth.handlers(), *jobs.handlers()), answer, document, cors=Cors())


class AuthRoutes:
    """From a key to tokens."""

    def __init__(self, config: ApiConfig, identity: Identity, limiter: Limiter) -> None:
        self._identity = identity
        self._limits = config.limits
        self._limiter = limiter

    def handlers(self) -> list[HTTPRouteHandler]:
        return [post("/auth/token")(self.token), post("/auth/refresh")(self.refresh)]

    async def token(self, request: HttpRequest) -> Answer:
        asked = take(await read_json(request, self._limits), TokenRequest)
        peer = request.client.host if request.client else ""
        await self._limiter.count(
            Rate(("token", "peer", peer), self._limits.tokens_per_peer, within_s=60),
            Rate(("token", "key", asked.api_key), self._limits.tokens_per_key, within_s=60),
        )
        return json_answer(_token_answer(await self._identity.exchange(asked.api_key)), headers=_PRIVATE)

    async def refresh(self, request: HttpRequest) -> Answer:
        asked = take(await read_json(request, self._limits), RefreshRequest)
        return json_answer(_token_answer(await self._identity.refresh(asked.refresh_token)), headers=_PRIVATE)


class JobRoutes:
    """From a recording to its transcript."""

    def __init__(self, house: House, config: ApiConfig, identity: Identity, forms: Forms, limiter: Limiter) -> None:
        self._house = house
        self._identity = identity
        self._forms = forms
        self._limits = config.limits
        self._limiter = limiter

    def handlers(self) -> list[HTTPRouteHandler]:
        return [
            post("/jobs")(self.submit),
            get("/jobs")(self.page),
            get("/jobs/{job_id:str}")(self.show),
            delete("/jobs/{job_id:str}", status_code=200)(self.delete),
            post("/jobs/{job_id:str}/cancel")(self.cancel),
            get("/jobs/{job_id:str}/transcript")(self.transcript),
        ]

    async def submit(self, request: HttpRequest) -> Answer:
        account = await self._identity.account(request)
        if self._limits.submissions_per_s is not None:
            rate = Rate(("submit", account.account_id), self._limits.submissions_per_s, within_s=1)
            await self._limiter.count(rate)
        overage = translate.flag_of(request.query_params, "accept_overage")
        name = once_name(request, account, "POST /jobs")
        match media_type(request):
            case "multipart/form-data":
                taken = await self._from_form(request, account, overage, name)
            case "application/json":
                taken = await self._from_json(request, account, overage, name)
            case _:
                raise Invalid("unsupported_media_type", "Send multipart/form-data or application/json.")
        body = taken.answer if isinstance(taken, Replay) else translate.accepted(taken)
        return Answer(body, status_code=202, headers={"content-type": "application/json", **replay_headers(taken)})

    async def page(self, request: HttpRequest) -> Answer:
        account = await self._identity.account(request)
        asked = translate.page_query_of(request.query_params)
        found = await self._house.jobs.page(
            account.account_id,
            dialect=translate.DIALECT,
            state=asked.state,
            changed_since=asked.since,
            after=asked.after,
            limit=asked.limit + 1,
        )
        shown = found[: asked.limit]
        more = len(found) > asked.limit
        events = await self._house.jobs.events(shown)
        items = [translate.job_answer(job, self._house.jobs.progress(job), events.get(job.job_id, [])) for job in shown]
        return json_answer(JobsPage(items, translate.cursor_of(shown[-1]) if more else None))

    async def show(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return await self._shown(await self._job(request, job_id))

    async def cancel(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._job(request, job_id)
        return await self._shown(await self._house.jobs.cancel(job.job_id, job.account_id))

    async def delete(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._job(request, job_id)
        cancelled = await self._house.jobs.delete(job.job_id, job.account_id)
        if cancelled is not None:
            return await self._shown(cancelled, status=202)
        return Answer(b"", status_code=204)

    async def transcript(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._job(request, job_id)
        wanted = request.query_params.get("format", FORMATS[0])
        if wanted not in FORMATS:
            raise Invalid("invalid_format", f"The formats are {', '.join(FORMATS)}.", param="format", formats=FORMATS)
        if not job.ended:
            raise self._not_ready(job)
        if wanted == "json":
            transcript = await self._house.jobs.transcript(job)
            # one of many hours has a hundred thousand words
            return await asyncio.to_thread(_told, transcript)
        made = await self._house.jobs.rendered(job, wanted)
        return file_answer(made.body, made.media_type, _attached(made.name))

    async def _from_form(self, request: HttpRequest, account: Account, overage: bool, name: str | None) -> Job | Replay:
        async with self._forms.receive(request, account, name) as upload:
            fields = translate.fields_of(upload.fields, form=True)
            if (upload.file is None) == (fields.source_url is None):
                raise _one_source()
            taken = await self._handed_in(upload, account, fields, overage, name)
            if isinstance(taken, Replay):
                await self._forms.give_up(upload.job_id)
            return taken

    async def _from_json(self, request: HttpRequest, account: Account, overage: bool, name: str | None) -> Job | Replay:
        fields = translate.fields_of(await read_json(request, self._limits), form=False)
        if fields.source_url is None:
            raise _one_source()
        nothing = Upload(self._house.intake.new_job_id(), {}, None, begun=False)
        return await self._handed_in(nothing, account, fields, overage, name)

    async def _handed_in(
        self, upload: Upload, account: Account, fields: JobFields, overage: bool, name: str | None
    ) -> Job | Replay:
        once = translate.once_of(name, fields, overage, upload.file)
        # what was said before is said first of all: before the language, too
        replay = await self._house.intake.replayed(once)
        if replay is not None:
            return replay
        sent = Submission(
            job_id=upload.job_id,
            account=account,
            dialect=translate.DIALECT,
            options=translate.options_of(fields),
            file=upload.file,
            url=fields.source_url,
            webhook_url=fields.webhook_url,
            accept_overage=overage,
            brought=upload.begun,
        )
        return await self._forms.hand_in(sent, once)

    async def _job(self, request: HttpRequest, text: str) -> Job:
        """The account's job of this dialect; anything else is unknown."""
        account = await self._identity.account(request)
        job_id = translate.job_id_of(text)
        job = await self._house.jobs.get(job_id, account.account_id) if job_id else None
        if job is None or job.dialect != translate.DIALECT:
            raise NotFound("not_found", "There is no such job.")
        return job

    async def _shown(self, job: Job, status: int = 200) -> Answer:
        progress = self._house.jobs.progress(job)
        wait_s = translate.retry_after_s(job, progress)
        headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
        events = await self._house.jobs.events([job])
        return json_answer(translate.job_answer(job, progress, events.get(job.job_id, [])), status, headers)

    def _not_ready(self, job: Job) -> Conflict:
        wait_s = translate.retry_after_s(job, self._house.jobs.progress(job))
        return Conflict("not_ready", "The transcript is not ready yet.", status=job.state, retry_after_s=wait_s)


_PRIVATE = {"Cache-Control": "no-store"}


def _told(transcript: StoredTranscript) -> Answer:
    body = translate.transcript_answer(transcript)
    return file_answer(body, "application/json", _attached(f"{transcript.job_id}.json"))


def _attached(name: str) -> dict[str, str]:
    """Saved, never shown as a page. `name` is made of an id of ours: nothing in it needs quoting."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _token_answer(tokens: Tokens) -> TokenAnswer:
    return TokenAnswer(
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        expires_in=tokens.access_s,
        refresh_expires_in=tokens.refresh_s,
    )


def _one_source() -> Invalid:
    return Invalid("invalid_request", "Send either a file or a source_url.", param="source_url")
