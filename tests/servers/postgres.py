"""A real PostgreSQL for tests: one server per test process, on a Unix socket in a folder of its own, gone when the process is.

`database` fixtures are copies of a migrated template, so a test begins with empty tables in milliseconds.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "32MB",
}
_FORGETFUL = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}
"""A test's server need not survive the machine."""


class PostgresMissing(Exception):
    """No PostgreSQL on this machine. Get it with: apt-get install postgresql"""

    def __str__(self) -> str:
        return "The tests need PostgreSQL's initdb and postgres: apt-get install postgresql"


class PostgresServer:
    """A running server. `url(name)` names a database of it; `create` and `drop` make and remove them."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._socket_folder}"

    def create(self, template: str = "template1") -> str:
        name = f"tiro_{next(self._numbers)}"
        self._tell(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop(self, name: str) -> None:
        self._tell(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _tell(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql)  # type: ignore[arg-type]


def binaries() -> Path:
    """The folder of initdb and postgres: the newest of Debian's, or what is on PATH. Raises PostgresMissing."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    found = shutil.which("initdb")
    if found:
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server, wait until it answers, and end it. As root its binaries run as another user, since they refuse root.

    `durable`: a commit is on the disk, as anywhere but in a test.
    """
    bin_folder = binaries()
    user = _unprivileged()
    # not below pytest's folders: those are closed to other users, and a socket's path must be short
    folder = Path(tempfile.mkdtemp(prefix="tiropg"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        initdb = [bin_folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*_as(user), *initdb], check=True, capture_output=True, timeout=120, cwd=folder)
        wanted = {**_SETTINGS, **({} if durable else _FORGETFUL), "unix_socket_directories": folder}
        settings = [f"-c{name}={value}" for name, value in wanted.items()]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [*_as(user), bin_folder / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder
            )
        try:
            _wait(server, folder)
            yield PostgresServer(folder)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process."""
    with running_postgres() as server:
        yield server


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(PostgresServer(folder).url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresMissing


def _as(user: pwd.struct_passwd | None) -> list[str]:
    """The words before a command so that it runs as `user` and does not outlive a killed test process."""
    who = [] if user is None else [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", "--pdeathsig=QUIT", *who, "--"]
