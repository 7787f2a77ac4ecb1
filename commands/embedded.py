"""The whole service in one process, beside a Temporal server of its own: started in order, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from api.app import create_app
from commands.folder import Credentials, DataFolder, Holder, Lock
from commands.listening import Listening, api_config, listener
from tiro.adapters.database.migrate import migrate
from tiro.adapters.temporal.binary import get_binary
from tiro.adapters.temporal.client import connect_patiently
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.adapters.temporal.names import QUEUES
from tiro.adapters.temporal.namespace import keep_histories, prepare_namespace
from tiro.model.errors import NotFound
from tiro.model.wallet import MICROS
from tiro.services.house import House
from tiro.settings import Settings
from tiro.wiring import Core, build_core
from worker import Workers

HISTORIES_KEPT_FOR = timedelta(days=7)
"""An embedded server shows a week of jobs in the Temporal UI."""
FIRST_CREDIT_MICROS = 10_000 * MICROS
"""Whoever runs the server pays nobody: this counts what would be paid."""


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


class Embedded:
    """`start`, then `stop`; in between it serves. The folder's lock must be held by the caller. Port 0: any that is free."""

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
        # first of all, so that a port that is taken is said at once
        socket = listener("127.0.0.1", self._port)
        self._cleanup.callback(socket.close)
        self._port = int(socket.getsockname()[1])
        self._lock.write(Holder(os.getpid(), self._port))
        settings = self._folder.settings(self._environ, self._port)
        self._say("Preparing the database ...")
        await asyncio.to_thread(migrate, settings.database_url)
        settings, ui = await self._temporal(settings)
        core = await build_core(settings)
        self._cleanup.push_async_callback(core.close)
        await core.check()
        credentials = await self._first_account(core.house)
        workers = await self._workers(core)
        app = create_app(core.house, api_config(core.settings, self._folder.admin_token()))
        server = Listening(app, socket, core.house.waits.let_go)
        await server.start()
        self._cleanup.push_async_callback(server.stop)
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
        # a cluster that was named may be away for a while
        client = await connect_patiently(settings.temporal, self._say, every_s=0.2)
        await prepare_namespace(client)
        if ui is not None:
            await keep_histories(client, HISTORIES_KEPT_FOR)
        return settings, ui

    def _place(self) -> DevServerPlace:
        used = self._folder.ports()
        ports = {name: free_port(used.get(name, 0)) for name in ("temporal", "ui")}
        if ports != used:
            self._folder.save_ports(ports)
        path = self._folder.path
        return DevServerPlace(path / "temporal.db", path / "temporal.log", ports["temporal"], ports["ui"])

    async def _first_account(self, house: House) -> Credentials:
        """Verified, on the largest plan, unmetered, with more credit than it needs; made once."""
        credentials = self._folder.credentials()
        if credentials is None:
            self._say("Making the first account ...")
            account = await house.accounts.create("first", "business", verified=True, unmetered=True)
            key = await house.accounts.create_key(account.account_id, "first")
            credentials = Credentials(account.account_id, key.text)
            self._folder.save_credentials(credentials)
        # a data folder of an earlier version has an account without; records that somebody put aside have none at all
        with contextlib.suppress(NotFound):
            await house.wallets.endow(credentials.account, FIRST_CREDIT_MICROS)
        return credentials

    async def _workers(self, core: Core) -> Workers:
        self._say("Loading engines ...")
        workers = Workers(core, tuple(QUEUES), self._say)
        self._cleanup.push_async_callback(workers.stop)
        await workers.start()
        self._watch(workers.failed)
        return workers

    def _watch(self, event: asyncio.Event) -> None:
        async def pass_on() -> None:
            await event.wait()
            self.failed.set()

        task = asyncio.create_task(pass_on())
        self._cleanup.callback(task.cancel)
