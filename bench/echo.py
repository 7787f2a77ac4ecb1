"""The peer of a submission: a bare Litestar app, under the same server, that answers a body with itself. `python -m bench.echo`."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, post

from api.server import server_config


@post("/echo", status_code=202)
async def echo(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Reads all of it and sends it back."""
    return Response(await request.body(), media_type="application/json")


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    app = Litestar([echo], openapi_config=None, logging_config=None, request_max_body_size=None)
    config = server_config(app, "127.0.0.1", 0)  # type: ignore[arg-type]  # an Edge only where bytes are no request
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
