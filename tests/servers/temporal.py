"""One real Temporal dev server for all tests of a run, whichever test process needs it first; the main process ends it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from tiro.adapters.temporal.binary import find_binary
from tiro.adapters.temporal.client import is_serving
from tiro.adapters.temporal.converter import DATA_CONVERTER
from tiro.adapters.temporal.devserver import free_port, server_arguments
from tiro.model.temporal import TemporalAccess

_NAMESPACES = 300
"""Made at start, drawn one per test: task queues have fixed names, so tests that run beside each other need namespaces of their own."""
_RUN = "TEST_RUN_PID"
_PREFIX = "tiro-test-temporal-"
_HELP = "The tests need a Temporal server: run 'make test' once, it builds the command and keeps it."


def _place() -> Path:
    """The same folder in all processes of one test run."""
    return Path(tempfile.gettempdir()) / f"{_PREFIX}{os.environ[_RUN]}"


def name_run() -> None:
    """Called by the main process before it starts others, which inherit the name: the main process's id."""
    os.environ[_RUN] = str(os.getpid())


async def _serving(address: str) -> None:
    while not await is_serving(TemporalAccess(address)):
        await asyncio.sleep(0.1)


def _start(folder: Path) -> int:
    binary = find_binary(os.environ)
    if binary is None:
        pytest.fail(_HELP)
    _end_leftovers()
    port = free_port()
    namespaces = [piece for n in range(_NAMESPACES) for piece in ("--namespace", f"test{n}")]
    arguments = [str(binary), *server_arguments(port=port, ui_port=None, database=None), *namespaces]
    log = (os.POSIX_SPAWN_OPEN, 1, str(folder / "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # not a Popen: the server outlives the test process that starts it
    pid = os.posix_spawn(binary, arguments, os.environ, file_actions=[log, (os.POSIX_SPAWN_DUP2, 1, 2)], setsid=True)
    (folder / "server.json").write_text(json.dumps({"port": port, "pid": pid}))
    waiting = asyncio.wait_for(_serving(f"127.0.0.1:{port}"), 60)
    try:
        with ThreadPoolExecutor(1) as aside:  # with a loop of its own: the tests' loops stay theirs
            aside.submit(asyncio.run, waiting).result()
    except TimeoutError:
        pytest.fail(f"the Temporal server did not start: {(folder / 'log').read_text()[-2000:]}")
    return port


@pytest.fixture(scope="session")
def temporal_address() -> str:
    """Of the server that all test processes share; started by whoever asks first."""
    folder = _place()
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / "server.json"
        port = json.loads(told.read_text())["port"] if told.exists() else _start(folder)
    return f"127.0.0.1:{port}"


@pytest.fixture
def temporal_namespace(temporal_address: str) -> str:
    """A namespace that no other test of this run has."""
    with (_place() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        counter = _place() / "namespaces"
        number = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(number + 1))
    assert number < _NAMESPACES, "more tests than namespaces: raise _NAMESPACES"
    return f"test{number}"


@pytest_asyncio.fixture
async def temporal_client(temporal_address: str, temporal_namespace: str) -> AsyncIterator[Client]:
    """A client of this test's namespace, with our converter."""
    yield await Client.connect(temporal_address, namespace=temporal_namespace, data_converter=DATA_CONVERTER)


def server_log() -> str:
    """What the server has said so far."""
    return (_place() / "log").read_text(errors="replace")


def end_server() -> None:
    """Called once, by the main process of the run."""
    _end(_place())


def _end_leftovers() -> None:
    """Servers of runs that were killed before they could end theirs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        run = folder.name.removeprefix(_PREFIX)
        if run.isdigit() and not Path(f"/proc/{run}").exists():
            _end(folder)


def _end(folder: Path) -> None:
    told = folder / "server.json"
    if told.exists():
        pid = json.loads(told.read_text())["pid"]
        with contextlib.suppress(OSError):
            if b"start-dev" in Path(f"/proc/{pid}/cmdline").read_bytes():  # and not who has its number now
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
