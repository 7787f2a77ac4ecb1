"""How is the HTTP server put together? Faces become routes of one app; every answer carries its request id."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from litestar import Litestar, Request, get
from litestar.datastructures import MutableScopeHeaders
from litestar.handlers import HTTPRouteHandler
from litestar.types import Message, Scope

from api import openapi
from api.admin import routes as admin
from api.config import ApiConfig
from api.dialects.jobs import routes as jobs
from api.faces import Answer, Face, HttpRequest, as_core, file_answer, json_answer, owner
from api.identity import Identity
from api.relay import Relay
from api.uploads import Uploads
from tiro.model.errors import NotFound, TiroError
from tiro.ports import Ids
from tiro.services.house import House

HEALTH_WITHIN_S = 2.0


def create_app(house: House, config: ApiConfig) -> Litestar:
    """The whole server over this house. Its lifespan runs the relay. The first face answers for paths that nobody owns."""
    identity = Identity(house.accounts, house.clock, config.token_key)
    uploads = Uploads(house, config.limits)
    faces = [jobs.face(house, config, identity, uploads)]
    if config.admin_token is not None:
        faces.append(admin.face(house, config.admin_token, config.limits))
    return Litestar(
        route_handlers=[*(route for face in faces for route in face.routes), *_house_routes(house, config, faces)],
        exception_handlers={Exception: _answering(faces, house.ids)},
        before_send=[_stamp(house.ids)],
        before_request=_refuse_upgrade,
        lifespan=[_relaying(house)],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )


def _relaying(house: House) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with Relay(house.dispatch, house.bell).running():
            yield

    return lifespan


def _house_routes(house: House, config: ApiConfig, faces: Sequence[Face]) -> list[HTTPRouteHandler]:
    """What belongs to no dialect and asks for no key."""
    documents = [face.document for face in faces if face.document is not None]

    async def health() -> Answer:
        try:
            async with asyncio.timeout(HEALTH_WITHIN_S):
                await house.records.now()
        except (TiroError, TimeoutError):
            return json_answer({"status": "database_unavailable"}, status=503, headers={"Retry-After": "5"})
        return json_answer({"status": "ok"})

    async def document() -> Answer:
        return json_answer(documents[0](config.public_url))

    async def docs() -> Answer:
        body = openapi.page(documents[0](config.public_url))
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return file_answer(body, "text/html; charset=utf-8", headers)

    return [get("/health")(health), get("/openapi.json")(document), get("/docs")(docs)]


def _answering(faces: Sequence[Face], ids: Ids) -> Callable[[HttpRequest, Exception], Answer]:
    """One handler for all errors, unknown routes and methods included: the face of the path finds the words."""

    def answering(request: Request, error: Exception) -> Answer:  # type: ignore[type-arg]
        path = request.scope["path"]
        face = owner(faces, path)
        place = next((prefix for prefix in face.prefixes if f"{path}/".startswith(f"{prefix}/")), "no place of ours")
        where = f"{request.scope['method']} in {place} ({request_id(request.scope, ids)})"
        return face.answer(as_core(error, where))

    return answering


def _stamp(ids: Ids) -> Callable[[Message, Scope], Awaitable[None]]:
    async def stamp(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            headers["X-Request-Id"] = request_id(scope, ids)
            headers["X-Content-Type-Options"] = "nosniff"

    return stamp


def request_id(scope: Scope, ids: Ids) -> str:
    """Made when first asked for: the same in the log and in the answer."""
    state = scope["state"]
    if "tiro_request_id" not in state:
        state["tiro_request_id"] = ids.new("req")
    return str(state["tiro_request_id"])


async def _refuse_upgrade(request: HttpRequest) -> None:
    """Nothing here streams: a WebSocket handshake finds nothing."""
    if request.headers.get("upgrade", "").strip().lower() == "websocket":
        raise NotFound("not_found", "There is no WebSocket at this address.")
