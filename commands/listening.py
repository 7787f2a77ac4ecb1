"""How does a command serve HTTP? A socket bound first, then an app behind it, ended by whoever started it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterator

import uvicorn

from api.config import ApiConfig, RequestLimits
from api.edge import Edge
from api.server import server_config
from tiro.adapters.vault import derive
from tiro.model.errors import Permanent
from tiro.settings import Settings

_STOP_WITHIN_S = 3


def api_config(settings: Settings, admin_token: str | None = None) -> ApiConfig:
    """What the settings tell the API. `admin_token` None: it has no corner for the command line."""
    return ApiConfig(
        public_url=settings.public_url,
        token_key=derive(settings.secret_key, "tokens"),
        admin_token=admin_token,
        limits=RequestLimits(submissions_per_s=settings.submissions_per_s),
    )


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises Permanent `port_taken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError:
        raise Permanent("port_taken", f"Port {port} of {host} cannot be used; choose another with --port.") from None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: who started it stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listening:
    """An app that answers on a socket between `start` and `stop`."""

    def __init__(
        self, app: Edge, listening: socket.socket, let_go: Callable[[], None], *, stop_within_s: int = _STOP_WITHIN_S
    ) -> None:
        """`let_go`: requests that wait for something are to be answered now."""
        host, port = listening.getsockname()[:2]
        self._socket = listening
        self._server = _Server(server_config(app, host, port, stop_within_s=stop_within_s))
        self._let_go = let_go
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it answers. Raises what kept it from that."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="api")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise Permanent("internal_error", "The HTTP server ended at its start; the log says why.")
            await asyncio.sleep(0.02)
        # what stands now stays: a collection that looks at all of it would keep every request waiting for a tenth of a second
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Takes no more requests, gives those that run a few seconds, ends the relay."""
        self._let_go()
        self._server.should_exit = True
        if self._task is not None:
            await self._task
