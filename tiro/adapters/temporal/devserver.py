"""The Temporal server beside `tiro up`: a child in its own session that dies with its parent and is restarted when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from tiro.adapters.temporal.client import is_serving
from tiro.adapters.temporal.names import SEARCH_ATTRIBUTES
from tiro.model.errors import Transient
from tiro.model.temporal import TemporalAccess

log = logging.getLogger("tiro.temporal")

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
_DYNAMIC = (
    "matching.useNewMatcher=true",
    "matching.enableFairness=true",
    # who is next is known within a partition only; what an older server wrote into others is still read
    "matching.numTaskqueueWritePartitions=1",
    # it would ask its maker for news, hourly and by name
    "frontend.enableServerVersionCheck=false",
)


class DevServerPlace(msgspec.Struct, frozen=True):
    """Where a dev server listens and keeps its file. `database` None: in memory."""

    database: Path | None
    log: Path
    port: int
    ui_port: int

    @property
    def address(self) -> str:
        """For clients."""
        return f"127.0.0.1:{self.port}"


def free_port(wished: int = 0) -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment: the wished one, or another where somebody does."""
    try:
        probe = socket.create_server(("127.0.0.1", wished))
    except OSError:
        probe = socket.create_server(("127.0.0.1", 0))
    with probe:
        return int(probe.getsockname()[1])


class DevServer:
    """`temporal server start-dev`, kept alive between `start` and `stop`."""

    def __init__(self, binary: Path, place: DevServerPlace) -> None:
        self.place = place
        self._binary = binary
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the server now running."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self, timeout_s: float = 60.0) -> None:
        """Returns when the server takes calls. Raises Transient `temporal_unavailable`."""
        if free_port(self.place.port) != self.place.port:  # whoever has it might answer in its place
            raise Transient("temporal_unavailable", f"Port {self.place.port}, for the Temporal server, is taken.")
        await self._launch()
        try:
            async with asyncio.timeout(timeout_s):
                await self._serving()
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise Transient(
                    "temporal_unavailable",
                    f"The Temporal server did not answer within {timeout_s:.0f} s; see {self.place.log}.",
                ) from None
            raise
        self._keeper = asyncio.create_task(self._keep(), name="temporal-dev-server")

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after 10 s."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _launch(self) -> None:
        place = self.place
        arguments = server_arguments(port=place.port, ui_port=place.ui_port, database=place.database)
        with place.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._binary), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_dying_with(os.getpid()),
            )  # fmt: skip

    async def _serving(self) -> None:
        while True:
            if self._process is None or self._process.returncode is not None:
                raise Transient("temporal_unavailable", f"The Temporal server ended at once; see {self.place.log}.")
            if await is_serving(TemporalAccess(self.place.address)):
                return
            await asyncio.sleep(0.1)

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            await self._process.wait()
            await asyncio.sleep(1)
            try:
                await self._launch()
            except OSError:  # no memory or no file for the moment: the next second may have it
                log.exception("the Temporal server could not be started again")


def server_arguments(*, port: int, ui_port: int | None, database: Path | None) -> list[str]:
    """How `temporal` is called: WAL, priority and fairness, no word to its maker, our search attributes.

    `ui_port` None: no UI; `database` None: in memory.
    """
    arguments = ["server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error", "--port", str(port)]
    arguments += ["--headless"] if ui_port is None else ["--ui-ip", "127.0.0.1", "--ui-port", str(ui_port)]
    if database is not None:
        arguments += ["--db-filename", str(database)]
        arguments += [piece for pragma in _PRAGMAS for piece in ("--sqlite-pragma", pragma)]
    for value in _DYNAMIC:
        arguments += ["--dynamic-config-value", value]
    for key in SEARCH_ATTRIBUTES:
        arguments += ["--search-attribute", f"{key.name}={_TYPE_NAMES.get(key.name, 'Keyword')}"]
    return arguments


_TYPE_NAMES = {"TiroFlags": "KeywordList", "TiroAudioSeconds": "Int"}


def _dying_with(parent: int) -> Callable[[], None]:
    """What a child runs before it becomes the server: its kernel ends it when `parent` goes, however that goes."""

    def bind() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bind
