"""How do `tiro jobs`, `keys` and `accounts` reach the records? Through the server that holds the data folder, else by themselves.

Both ways speak the admin routes (`api.admin.wire`): over loopback to a running server, or to an app of our own in this process, over the
database, under the folder's lock. So both answer alike.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import msgspec

from api.admin import wire
from commands.folder import DataFolder
from tiro.model.errors import Conflict, Invalid, NotFound, Permanent, TiroError, Transient, Unauthenticated
from tiro.settings import Settings, read

if TYPE_CHECKING:
    from tiro.services.house import House

T = TypeVar("T", bound=msgspec.Struct)
_TIMEOUT = httpx2.Timeout(60, connect=5)
_KINDS: dict[int, type[TiroError]] = {
    400: Invalid,
    401: Unauthenticated,
    404: NotFound,
    409: Conflict,
    429: Transient,
    503: Transient,
}


class Reach:
    """The admin routes as methods. Errors are the core's, with the server's words."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, shape: type[T], **query: str | int | None) -> T:
        """GET; what is None is not asked."""
        return await self._call("GET", path, shape, params={k: v for k, v in query.items() if v is not None})

    async def post(self, path: str, shape: type[T], wish: msgspec.Struct | None = None) -> T:
        """POST with a wish as its body, or with none."""
        return await self._call("POST", path, shape, wish)

    async def patch(self, path: str, shape: type[T], wish: msgspec.Struct) -> T:
        """PATCH."""
        return await self._call("PATCH", path, shape, wish)

    async def delete(self, path: str) -> None:
        """DELETE, with no answer."""
        await self._send("DELETE", path)

    async def _call(
        self, verb: str, path: str, shape: type[T], wish: msgspec.Struct | None = None, params: Any = None
    ) -> T:
        answer = await self._send(verb, path, wish, params)
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.ValidationError:
            raise Permanent(
                "other_version",
                "The server that holds the data folder is of another version than this command. Restart it.",
            ) from None

    async def _send(
        self, verb: str, path: str, wish: msgspec.Struct | None = None, params: Any = None
    ) -> httpx2.Response:
        body = None if wish is None else msgspec.json.encode(wish)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = await self._http.request(
                verb, f"{wire.PREFIX}{path}", content=body, headers=headers, params=params
            )
        except httpx2.TransportError:
            raise Transient(
                "server_silent", "The server that holds the data folder does not answer. Is it still starting?"
            ) from None
        if answer.is_error:
            raise _as_core(answer)
        return answer


@contextlib.asynccontextmanager
async def reach(folder: DataFolder) -> AsyncIterator[Reach]:
    """The way that fits: at scale (TIRO_DATABASE_URL is set) directly; else through the folder's server, or in its place."""
    if os.environ.get("TIRO_DATABASE_URL"):
        from tiro.wiring import build_core

        core = await build_core(read(os.environ))
        async with _inside(core.house, core.settings) as inside:
            yield inside
    elif (holder := folder.holder()) is not None:
        async with client(f"http://127.0.0.1:{holder.port}", folder.admin_token()) as http:
            yield Reach(http)
    else:
        async with _instead(folder) as inside:
            yield inside


def first_account(folder: DataFolder, account: str | None) -> str:
    """The account that was named, else the folder's first. Raises Invalid."""
    known = None if os.environ.get("TIRO_DATABASE_URL") else folder.credentials()
    if account is None and known is None:
        raise Invalid("invalid_request", "Name an account; `tiro accounts list` shows them.", param="account")
    return account or (known.account if known else "")


@contextlib.asynccontextmanager
async def _instead(folder: DataFolder) -> AsyncIterator[Reach]:
    """No server runs: the records are ours for so long. What needs the flow is told to come back when it runs."""
    if not folder.has_records():
        raise NotFound(
            "no_records", f"There are no records in {folder.path}. Start `tiro up` once, or name a folder with --data."
        )
    from commands.orchestrator import Away
    from tiro.wiring import build_house

    with folder.held():
        settings = folder.settings(os.environ, 0)
        # a chain that is named is believed; nobody waits here for a model hub
        settings = msgspec.structs.replace(settings, engines=settings.engines or ("faster_whisper",))
        async with _inside(build_house(settings, Away()), settings) as inside:
            yield inside


@contextlib.asynccontextmanager
async def _inside(house: House, settings: Settings) -> AsyncIterator[Reach]:
    from api.app import create_app
    from api.config import ApiConfig

    token = house.ids.new("token")
    config = ApiConfig(public_url=settings.public_url, token_key=bytes(32), admin_token=token)
    app: Any = create_app(house, config)  # the two libraries write the same ASGI types differently
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    try:
        async with client("http://tiro", token, transport) as http:
            yield Reach(http)
    finally:
        house.preparer.close()
        await house.records.close()


def client(base_url: str, token: str, transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """A client of the admin routes at `base_url`."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(
        base_url=base_url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=False
    )


def _as_core(answer: httpx2.Response) -> TiroError:
    kind = _KINDS.get(answer.status_code, Permanent)
    try:
        trouble = msgspec.json.decode(answer.content, type=wire.Trouble)
    except msgspec.MsgspecError:
        return kind("internal_error", f"The server answered {answer.status_code}.")
    return kind(trouble.error, trouble.message)
