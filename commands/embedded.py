"""The whole service in one process, beside a Temporal server of its own: started in order, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import uvicorn

from api.app import create_app
from api.config import ApiConfig
from api.server import server_config
from commands.folder import Credentials, DataFolder, Holder, Lock
from tiro.adapters.database.migrate import migrate
from tiro.adapters.temporal.binary import get_binary
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.adapters.temporal.names import QUEUES
from tiro.adapters.temporal.namespace import prepare_namespace
from tiro.adapters.vault import derive
from tiro.model.errors import Transient
from tiro.settings import Settings, read
from tiro.wiring import Core, build_core
from worker import Workers


class Running(msgspec.Struct, frozen=True):
    """Where an embedded server is to be found, and with which key."""

    api: str
    temporal_ui: str | None
    temporal_address: str
    account: str
    key: str
    data: str
    engines: tuple[str, ...]
    diarizer: str


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: who started it stops it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # uvicorn's own signature
        yield


class Embedded:
    """`start`, then `stop`; in between it serves. The folder's lock must be held by the caller."""

    def __init__(
        self, folder: DataFolder, lock: Lock, port: int, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._port = port
        self._environ = environ
        self._say = say
        self._cleanup = contextlib.AsyncExitStack()
        self.failed = asyncio.Event()

    async def start(self) -> Running:
        """Everything, from the database to the API; what was started is stopped again when a later step fails."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """In the reverse order of starting. Harmless when repeated."""
        await self._cleanup.aclose()

    async def _start(self) -> Running:
        end_leftover(self._lock.left)
        settings = self._settings()
        self._say("Preparing the database ...")
        await asyncio.to_thread(migrate, settings.database_url)
        settings, ui = await self._temporal(settings)
        core = await build_core(settings)
        self._cleanup.push_async_callback(core.close)
        credentials = await self._first_account(core)
        workers = await self._workers(core)
        await self._serve(core)
        assert settings.temporal.address is not None
        return Running(
            api=settings.public_url,
            temporal_ui=ui,
            temporal_address=settings.temporal.address,
            account=credentials.account,
            key=credentials.key,
            data=str(self._folder.path),
            engines=workers.engines,
            diarizer=workers.diarizer,
        )

    def _settings(self) -> Settings:
        folder = self._folder
        defaults: dict[str, object] = {
            "database_url": folder.database_url,
            "blobs_url": folder.blobs_url,
            "secret_key": folder.secret_key(),
            "scratch": str(folder.path / "scratch"),
            "public_url": f"http://127.0.0.1:{self._port}",
            "embedded": True,
        }
        return read(self._environ, folder.toml, defaults)

    async def _temporal(self, settings: Settings) -> tuple[Settings, str | None]:
        """The cluster that was named, or a server of our own beside us."""
        ui: str | None = None
        if settings.temporal.address is None:
            place = self._place()
            server = DevServer(await get_binary(self._environ, self._say), place)
            self._say("Starting Temporal ...")
            await server.start()
            self._cleanup.push_async_callback(server.stop)
            self._lock.write(Holder(os.getpid(), self._port, server.pid))
            access = msgspec.structs.replace(settings.temporal, address=place.address)
            settings = msgspec.structs.replace(settings, temporal=access)
            ui = f"http://127.0.0.1:{place.ui_port}"
        await _namespace_ready(settings)
        return settings, ui

    def _place(self) -> DevServerPlace:
        ports = self._folder.ports() or {"temporal": free_port(), "ui": free_port()}
        self._folder.save_ports(ports)
        path = self._folder.path
        return DevServerPlace(path / "temporal.db", path / "temporal.log", ports["temporal"], ports["ui"])

    async def _first_account(self, core: Core) -> Credentials:
        """Verified, on the largest plan, unmetered; made once."""
        known = self._folder.credentials()
        if known is not None:
            return known
        self._say("Making the first account ...")
        account = await core.house.accounts.create("first", "business", verified=True, unmetered=True)
        key = await core.house.accounts.create_key(account.account_id, "first")
        credentials = Credentials(account.account_id, key.text)
        self._folder.save_credentials(credentials)
        return credentials

    async def _workers(self, core: Core) -> Workers:
        self._say("Loading engines ...")
        workers = Workers(core, tuple(QUEUES), self._say)
        self._cleanup.push_async_callback(workers.stop)
        await workers.start()
        self._watch(workers.failed)
        return workers

    async def _serve(self, core: Core) -> None:
        config = ApiConfig(
            public_url=core.settings.public_url,
            token_key=derive(core.settings.secret_key, "tokens"),
            admin_token=self._folder.admin_token(),
        )
        server = _Server(server_config(create_app(core.house, config), "127.0.0.1", self._port))
        task = asyncio.create_task(server.serve(), name="api")
        while not server.started:
            if task.done():
                raise Transient("port_taken", f"Port {self._port} cannot be used; choose another with --port.")
            await asyncio.sleep(0.05)

        async def end() -> None:
            server.should_exit = True
            await task

        self._cleanup.push_async_callback(end)

    def _watch(self, event: asyncio.Event) -> None:
        async def pass_on() -> None:
            await event.wait()
            self.failed.set()

        task = asyncio.create_task(pass_on())
        self._cleanup.callback(task.cancel)


async def _namespace_ready(settings: Settings) -> None:
    client = await connect(settings.temporal, lazy=False)
    await prepare_namespace(client)


def end_leftover(left: Holder | None) -> None:
    """A killed server may leave its Temporal server behind, which would write the same file: end it, if it is really that."""
    if left is None or left.temporal_pid is None:
        return
    command = Path(f"/proc/{left.temporal_pid}/cmdline")
    with contextlib.suppress(OSError):
        if b"start-dev" in command.read_bytes():
            os.kill(left.temporal_pid, signal.SIGKILL)
