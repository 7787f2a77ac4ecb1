"""How does the app listen? uvicorn's settings: no banner, no trust in forwarded headers, nothing kept open for nothing."""

from __future__ import annotations

import uvicorn
from litestar.types import ASGIApp


def server_config(app: ASGIApp, host: str, port: int, *, stop_within_s: int = 10) -> uvicorn.Config:
    """Plain HTTP for loopback or for the proxy in front, which ends TLS. X-Forwarded-For moves nothing; upgrades are refused."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=stop_within_s,
        h11_max_incomplete_event_size=64 << 10,
        backlog=512,
    )
