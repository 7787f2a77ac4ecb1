"""Which server does a command use? The one that was named, that of the data folder, or an embedded one for as long as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

import click
import httpx2
import msgspec

from commands.folder import DataFolder, Holder

_STARTING_S = 180.0


class Server(msgspec.Struct, frozen=True):
    """A server to submit to. `admin`: the token of its admin routes, where they are ours to use. `engines`: known of our own."""

    url: str
    key: str
    local: bool
    admin: str | None = None
    engines: tuple[str, ...] = ()


@contextlib.asynccontextmanager
async def server_for(
    folder: DataFolder, url: str | None, key: str | None, say: Callable[[str], None]
) -> AsyncIterator[Server]:
    """Raises ClickException with what to do, Permanent when an embedded one cannot start."""
    if url is not None:
        yield Server(url, _key_for(url, key, folder), local=False)
    elif (holder := folder.holder()) is not None:
        yield await _running(folder, holder, key)
    else:
        async with _embedded(folder, say) as server:
            yield server


def _key_for(url: str, key: str | None, folder: DataFolder) -> str:
    """A server of this folder needs no key to be named."""
    holder, known = folder.holder(), folder.credentials()
    ours = holder is not None and url.rstrip("/") in {f"http://{h}:{holder.port}" for h in ("127.0.0.1", "localhost")}
    if key is None and ours and known is not None:
        return known.key
    if key is None:
        raise click.UsageError("--server needs a key: give --key, or set TIRO_KEY.")
    return key


async def _running(folder: DataFolder, holder: Holder, key: str | None) -> Server:
    """Waits for one that is still starting."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STARTING_S), httpx2.AsyncClient(trust_env=False) as http:
            while (found := folder.holder()) is not None:
                url = f"http://127.0.0.1:{found.port}"
                known = folder.credentials()
                if known is not None and await _answers(http, url):
                    return Server(url, key or known.key, local=True, admin=folder.admin_token())
                await asyncio.sleep(0.2)
    raise click.ClickException(
        f"Process {holder.pid} holds {folder.path} but does not answer. Stop it, or choose another folder with --data."
    )


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/health", timeout=5)).is_success
    except httpx2.TransportError:
        return False


@contextlib.asynccontextmanager
async def _embedded(folder: DataFolder, say: Callable[[str], None]) -> AsyncIterator[Server]:
    from commands.embedded import Embedded

    say("No server runs here: starting one for this command ...")
    with folder.held() as lock:
        embedded = Embedded(folder, lock, 0, dict(os.environ), say)
        running = await embedded.start()
        try:
            yield Server(running.api, running.key, local=True, admin=folder.admin_token(), engines=running.engines)
        finally:
            await embedded.stop()
