"""How the cluster is reached: one lazy client, so that a server that is away delays work and stops nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError, TLSConfig

from tiro.adapters.temporal.converter import DATA_CONVERTER
from tiro.model.errors import Permanent
from tiro.model.temporal import TemporalAccess

_RETRIES = RetryConfig(
    initial_interval_millis=100, max_interval_millis=2000, max_elapsed_time_millis=8000, max_retries=5
)
_SILENT_S = 3.0
"""A server that has just been started takes a moment; nobody needs to hear of that."""
_GLANCE_S = 5.0


async def connect(settings: TemporalAccess, *, lazy: bool = True) -> Client:
    """A client of the namespace. With `lazy` the first call connects. Raises Permanent `invalid_setting` without an address."""
    if not settings.address:
        raise Permanent(
            "invalid_setting",
            "TEMPORAL_ADDRESS is not set, and no embedded server was started.",
            param="TEMPORAL_ADDRESS",
        )
    return await Client.connect(
        settings.address,
        namespace=settings.namespace,
        api_key=settings.api_key,
        tls=_tls(settings),
        data_converter=DATA_CONVERTER,
        retry_config=_RETRIES,
        lazy=lazy,
    )


async def connect_patiently(access: TemporalAccess, say: Callable[[str], None], *, every_s: float = 2.0) -> Client:
    """A connected client, as workers need one: waits for a cluster that is away, and says so once it takes long."""
    told, began = False, time.monotonic()
    while True:
        try:
            return await connect(access, lazy=False)
        except RuntimeError:
            if not told and time.monotonic() - began >= _SILENT_S:
                say("Temporal does not answer yet; waiting for it.")
                told = True
            await asyncio.sleep(every_s)


async def is_serving(access: TemporalAccess) -> bool:
    """Whether the cluster takes calls now: a server's port is open a while before the server is well."""
    try:
        async with asyncio.timeout(_GLANCE_S):
            return await (await connect(access, lazy=False)).service_client.check_health()
    except (RuntimeError, RPCError, TimeoutError):
        return False


def _tls(settings: TemporalAccess) -> bool | TLSConfig:
    if settings.tls_client_cert and settings.tls_client_key:
        return TLSConfig(
            client_cert=Path(settings.tls_client_cert).read_bytes(),
            client_private_key=Path(settings.tls_client_key).read_bytes(),
        )
    return settings.tls or settings.api_key is not None
