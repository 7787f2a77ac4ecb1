"""A real S3 server for tests: versitygw over a folder, one per test process, gone when the process is.

`s3_server` is the server; `s3_bucket` an empty bucket of its own for one test.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiro.adapters.storage.s3 import S3Options, connect

_START_S = 20.0
_TRIES = 3


class S3Server:
    """A running versitygw: how it is reached, and buckets of it."""

    def __init__(self, endpoint: str) -> None:
        self.options = S3Options(
            endpoint=endpoint, access_key="tiro-tests", secret_key="not-a-secret", region="us-east-1", attempts=2
        )
        self._count = itertools.count()

    @property
    def endpoint(self) -> str:
        assert self.options.endpoint is not None
        return self.options.endpoint

    def environ(self) -> dict[str, str]:
        """The usual variables, for a process that is told by its environment."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.options.access_key or "",
            "AWS_SECRET_ACCESS_KEY": self.options.secret_key or "",
            "AWS_DEFAULT_REGION": self.options.region or "",
        }

    def bucket(self) -> str:
        """Make a bucket that nobody else has."""
        name = f"tiro-{os.getpid()}-{next(self._count)}"
        client = connect(self.options)
        client.create_bucket(Bucket=name)
        client.close()
        return name


def versitygw() -> Path:
    """The server's binary; says how to get it when it is missing."""
    cached = Path.home() / ".cache" / "tiro" / "bin" / "versitygw"
    found = cached if cached.exists() else shutil.which("versitygw")
    assert found, "The tests need the S3 server versitygw: run `make setup` (or `make tools`), which builds it."
    return Path(found)


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server that keeps its objects below `folder`."""
    for name in ("objects", "about"):
        (folder / name).mkdir()
    for attempt in range(1, _TRIES + 1):
        port = _free_port()
        process = _start(folder, port)
        try:
            if _answers(process, port):
                yield S3Server(f"http://127.0.0.1:{port}")
                return
        finally:
            process.terminate()
            process.wait(10)
        assert attempt < _TRIES, f"versitygw does not start: {(folder / 'log').read_text()[-2000:]}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with tempfile.TemporaryDirectory(prefix="tiro-s3-") as folder, running_s3(Path(folder)) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.bucket()


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [str(versitygw()), "--port", f"127.0.0.1:{port}", "--access", "tiro-tests", "--secret", "not-a-secret"]
    command += ["--keep-alive", "--quiet", "posix", "--sidecar", str(folder / "about"), str(folder / "objects")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False
