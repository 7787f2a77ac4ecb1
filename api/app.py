"""How is the HTTP server put together? Faces become routes of one app, inside of the edge."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar, Request, get, route
from litestar.handlers import HTTPRouteHandler

from api import papers
from api.admin import routes as admin
from api.config import ApiConfig
from api.dialects.jobs import routes as jobs
from api.dialects.transcribe import routes as transcribe
from api.edge import Edge, worded
from api.faces import Answer, Face, HttpRequest
from api.files import routes as files
from api.forms import Forms
from api.health import Health
from api.identity import Identity
from api.relay import Relay
from tiro.services.house import House

THREADS = 64
"""For what blocks: the store, resolvers, long bodies. Python's own are as few as the machine is small, and a stranger's resolver or an
upload that is put together may hold one for long, while everybody else's calls need them."""
DIALECTS = {"jobs": jobs.face, "transcribe": transcribe.face}


def create_app(house: House, config: ApiConfig) -> Edge:
    """The whole server over this house. Its lifespan runs the relay. The first face answers for paths that nobody owns."""
    identity = Identity(house.accounts, house.families, house.clock, config.token_key)
    forms = Forms(house, config.limits)
    dialects = {name: face(house, config, identity, forms) for name, face in DIALECTS.items()}
    faces = list(dialects.values())
    faces.append(files.face(house, config.limits))
    if config.admin_token is not None:
        faces.append(admin.face(house, config.admin_token, config.limits))
    house_routes = [get("/health")(Health(house).answer), *papers.routes(dialects, config.public_url)]
    routes = [*(route for face in faces for route in face.routes), *house_routes]
    app = Litestar(
        route_handlers=[*_options(routes), *routes],
        exception_handlers={Exception: _answering(faces)},
        lifespan=[_threads, _relaying(house)],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )
    return Edge(app, faces, house.ids)


@contextlib.asynccontextmanager
async def _threads(_: Litestar) -> AsyncIterator[None]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="api"))
    yield


def _relaying(house: House) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with Relay(house.dispatch, house.bell).running():
            yield

    return lifespan


def _options(routes: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """OPTIONS of every address. Litestar's own would name the methods of the address's first handler only."""
    methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for one in routes:
        for path in one.paths:
            methods[path] |= one.http_methods
    return [route(path, http_method="OPTIONS")(_allowing(allowed)) for path, allowed in methods.items()]


def _allowing(methods: set[str]) -> Callable[[], Awaitable[Answer]]:
    async def allowing() -> Answer:
        return Answer(b"", status_code=204, headers={"Allow": ", ".join(methods)})

    return allowing


def _answering(faces: Sequence[Face]) -> Callable[[HttpRequest, Exception], Answer]:
    """One handler for all errors of the app."""

    def answering(request: Request, error: Exception) -> Answer:  # type: ignore[type-arg]
        return worded(faces, request.scope, error)

    return answering
