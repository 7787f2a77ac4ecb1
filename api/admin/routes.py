"""The command line's routes: who may come in, and which service each one calls."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_args

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import Scope

from api.admin import translate
from api.admin.audits import AuditAdmin
from api.admin.signing import SigningAdmin
from api.admin.wire import (
    PREFIX,
    AccountChange,
    AccountRows,
    AccountWish,
    CreditWish,
    JobDetails,
    JobRows,
    KeyRows,
    KeyWish,
    LedgerRows,
    NewKeyRow,
    PlanRows,
    Priority,
    Replayed,
    Secret,
    Trouble,
)
from api.body import read_json, take
from api.config import RequestLimits
from api.faces import Answer, Face, HttpRequest, json_answer
from api.identity import bearer
from tiro.model.errors import Conflict, Invalid, NotFound, Permanent, RateLimited, TiroError, Unauthenticated
from tiro.model.job import Job, JobState
from tiro.services.house import House

Handler = Callable[..., Awaitable[Answer]]
Connection = ASGIConnection[Any, Any, Any, Any]
_Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
_STATUSES: dict[type[TiroError], int] = {
    Invalid: 400,
    NotFound: 404,
    Conflict: 409,
    RateLimited: 429,
}


def face(house: House, token: str, limits: RequestLimits) -> Face:
    """The corner as the app takes it in."""
    rooms = (
        JobAdmin(house, limits),
        AccountAdmin(house, limits),
        SigningAdmin(house.signing, limits),
        AuditAdmin(house.audit),
    )

    def keep_out(connection: Connection, _: BaseRouteHandler) -> None:
        """The second wall: whatever way the address was written, here it has been found."""
        if not _may_enter(connection.scope, token):
            raise NotFound("not_found", "There is nothing at this address.")

    routes = [
        verb(f"{PREFIX}{path}", guards=[keep_out], **({"status_code": 200} if verb is delete else {}))(handler)
        for room in rooms
        for verb, path, handler in room.handlers()
    ]
    return Face((PREFIX,), tuple(routes), answer, admits=lambda scope: _may_enter(scope, token))


def answer(error: TiroError) -> Answer:
    """By kind of error; the code says the rest."""
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
    if error.again:
        status = 503
    elif status == 500 and isinstance(error, Permanent):
        status = 405 if error.code == "method_not_allowed" else 422
    return json_answer(Trouble(error=error.code, message=error.message, extras=error.extras), status=status)


def _may_enter(scope: Scope, token: str) -> bool:
    """Loopback peers with the token. A proxy of strangers may be such a peer: without the token there is nothing here."""
    request: HttpRequest = Request(scope)
    if request.client is None or not _is_loopback(request.client.host):
        return False
    try:
        return hmac.compare_digest(bearer(request).encode(), token.encode())
    except Unauthenticated:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class JobAdmin:
    """Jobs of all accounts, and their webhooks."""

    def __init__(self, house: House, limits: RequestLimits) -> None:
        self._house = house
        self._limits = limits

    def handlers(self) -> list[tuple[Callable[..., HTTPRouteHandler], str, Handler]]:
        return [
            (get, "/jobs", self.page),
            (get, "/jobs/{job_id:str}", self.show),
            (delete, "/jobs/{job_id:str}", self.delete),
            (post, "/jobs/{job_id:str}/cancel", self.cancel),
            (post, "/jobs/{job_id:str}/retry", self.retry),
            (post, "/jobs/{job_id:str}/pause", self.pause),
            (post, "/jobs/{job_id:str}/resume", self.resume),
            (post, "/jobs/{job_id:str}/reprioritize", self.reprioritize),
            (post, "/hooks/{event_id:str}/replay", self.replay),
        ]

    async def page(self, request: HttpRequest) -> Answer:
        query = request.query_params
        limit = _limit(request)
        cursor = query.get("cursor")
        found = await self._house.jobs.page(
            query.get("account"),
            reference=query.get("reference"),
            state=_state(query.get("status")),
            changed_since=translate.since_of(query["since"]) if "since" in query else None,
            after=None if cursor is None else translate.after_of(cursor),
            limit=limit + 1,
        )
        more = len(found) > limit
        shown = found[:limit]
        rows = [translate.job_row(job, self._house.jobs.progress(job)) for job in shown]
        return json_answer(JobRows(rows, translate.cursor_of(shown[-1]) if more and shown else None))

    async def show(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._house.jobs.get(job_id)
        deliveries = [translate.delivery_row(*pair) for pair in await self._house.jobs.deliveries(job_id)]
        row = translate.job_row(job, self._house.jobs.progress(job))
        return json_answer(JobDetails(row, deliveries, await self._house.jobs.live(job)))

    async def delete(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        job = await self._house.jobs.delete(job_id)
        return Answer(b"", status_code=204) if job is None else self._row(job)

    async def cancel(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return self._row(await self._house.jobs.cancel(job_id))

    async def retry(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return self._row(await self._house.jobs.retry(job_id))

    async def pause(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return await self._steer(job_id, "pause")

    async def resume(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        return await self._steer(job_id, "resume")

    async def reprioritize(self, request: HttpRequest, job_id: FromPath[str]) -> Answer:
        wish = take(await read_json(request, self._limits), Priority)
        if not 1 <= wish.priority <= 5:
            raise Invalid("invalid_request", "A priority is 1 (first) to 5.", param="priority")
        return await self._steer(job_id, "reprioritize", wish.priority)

    async def replay(self, request: HttpRequest, event_id: FromPath[str]) -> Answer:
        tried = await self._house.hooks.replay(event_id)
        return json_answer(Replayed(tried.event_id, tried.state, tried.status))

    async def _steer(self, job_id: str, update: str, *args: Any) -> Answer:
        await self._house.jobs.steer(job_id, update, *args)
        return self._row(await self._house.jobs.get(job_id))

    def _row(self, job: Job) -> Answer:
        return json_answer(translate.job_row(job, self._house.jobs.progress(job)))


class AccountAdmin:
    """Accounts, their keys, wallets and webhook secrets."""

    def __init__(self, house: House, limits: RequestLimits) -> None:
        self._accounts = house.accounts
        self._wallets = house.wallets
        self._plans = house.plans
        self._limits = limits

    def handlers(self) -> list[tuple[Callable[..., HTTPRouteHandler], str, Handler]]:
        return [
            (get, "/keys", self.keys),
            (post, "/keys", self.create_key),
            (delete, "/keys/{key_id:str}", self.revoke_key),
            (get, "/plans", self.plans),
            (get, "/accounts", self.accounts),
            (post, "/accounts", self.create),
            (get, "/accounts/{account_id:str}", self.show),
            (patch, "/accounts/{account_id:str}", self.change),
            (get, "/accounts/{account_id:str}/usage", self.usage),
            (post, "/accounts/{account_id:str}/credit", self.credit),
            (get, "/accounts/{account_id:str}/ledger", self.ledger),
            (get, "/accounts/{account_id:str}/webhook-secret", self.secret),
            (post, "/accounts/{account_id:str}/webhook-secret/next", self.next_secret),
            (post, "/accounts/{account_id:str}/webhook-secret/activate", self.activate_secret),
        ]

    async def keys(self, request: HttpRequest) -> Answer:
        keys = await self._accounts.keys(request.query_params.get("account"))
        return json_answer(KeyRows([translate.key_row(key) for key in keys]))

    async def create_key(self, request: HttpRequest) -> Answer:
        wish = take(await read_json(request, self._limits), KeyWish)
        made = await self._accounts.create_key(wish.account_id, wish.name)
        return json_answer(NewKeyRow(translate.key_row(made.key), made.text), status=201)

    async def revoke_key(self, request: HttpRequest, key_id: FromPath[str]) -> Answer:
        await self._accounts.revoke_key(key_id)
        return Answer(b"", status_code=204)

    async def plans(self, request: HttpRequest) -> Answer:
        used = await self._accounts.plans_in_use()
        return json_answer(PlanRows([translate.plan_row(plan, used.get(plan.name, 0)) for plan in self._plans.all()]))

    async def accounts(self, request: HttpRequest) -> Answer:
        return json_answer(AccountRows([translate.account_row(one) for one in await self._accounts.all()]))

    async def create(self, request: HttpRequest) -> Answer:
        wish = take(await read_json(request, self._limits), AccountWish)
        account = await self._accounts.create(
            wish.name, wish.plan, email=wish.email, verified=wish.verified, unmetered=wish.unmetered
        )
        return json_answer(translate.account_row(account), status=201)

    async def show(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        return json_answer(translate.account_row(await self._accounts.get(account_id)))

    async def change(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        wish = take(await read_json(request, self._limits), AccountChange)
        account = await self._accounts.change(account_id, **msgspec.structs.asdict(wish))
        return json_answer(translate.account_row(account))

    async def usage(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        account = await self._accounts.get(account_id)
        month = request.query_params.get("month")
        asked = None if month is None else _query(month, _Month, "month", "YYYY-MM, such as 2026-11")
        usage = await self._accounts.usage(account_id, asked)
        balance = await self._wallets.balance(account_id)
        return json_answer(translate.usage_row(account, self._plans.of(account), usage, balance))

    async def credit(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        wish = take(await read_json(request, self._limits), CreditWish)
        balance = await self._wallets.credit(account_id, wish.amount_micros, wish.note)
        return json_answer(translate.wallet_row(account_id, balance))

    async def ledger(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        entries = await self._wallets.entries(account_id, _limit(request))
        return json_answer(LedgerRows([translate.ledger_row(entry) for entry in entries]))

    async def secret(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        return json_answer(Secret(await self._accounts.webhook_secret(account_id)))

    async def next_secret(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        return json_answer(Secret(await self._accounts.next_webhook_secret(account_id)))

    async def activate_secret(self, request: HttpRequest, account_id: FromPath[str]) -> Answer:
        await self._accounts.activate_webhook_secret(account_id)
        return json_answer(Secret(await self._accounts.webhook_secret(account_id)))


def _limit(request: HttpRequest) -> int:
    """How many rows a page has; 50 without a word. Raises Invalid."""
    asked = request.query_params.get("limit", "50")
    return int(_query(asked, Annotated[int, msgspec.Meta(ge=1, le=1000)], "limit", "1 to 1000"))


def _query(text: str, kind: Any, name: str, meant: str) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise Invalid("invalid_request", f"{name} is {meant}.", param=name) from None


def _state(text: str | None) -> JobState | None:
    if text is not None and text not in get_args(JobState):
        raise Invalid("invalid_request", f"status is one of {', '.join(get_args(JobState))}.", param="status")
    return text  # type: ignore[return-value]  # one of the five words
