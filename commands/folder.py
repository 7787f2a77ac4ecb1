"""The data folder of an embedded server: what lies in it, who may read it, and who holds it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import msgspec

from tiro.settings import Settings, read

SECRET_KEY, ADMIN_TOKEN, CREDENTIALS = "secret.key", "admin.token", "credentials.json"
SECRETS = (SECRET_KEY, ADMIN_TOKEN, CREDENTIALS)
"""Files that nobody but the folder's owner may read."""
_END_WITHIN_S = 5.0
_GLANCE_S = 0.5
"""Who only asks for the holder takes the lock for a moment; nobody is refused because of that."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a data folder: written into its lock file."""

    pid: int
    port: int
    temporal_pid: int | None = None


class Credentials(msgspec.Struct, frozen=True):
    """The first account and its key, as `credentials.json` keeps them."""

    account: str
    key: str


class DataFolder:
    """Paths of one data folder. Everything in it is its owner's alone (0700, secrets 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    def make(self) -> None:
        """The folder and its rooms."""
        for folder in (self.path, self.path / "blobs", self.path / "scratch"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / 'tiro.db'}"

    def has_records(self) -> bool:
        """Whether a server was ever started here."""
        return (self.path / "tiro.db").exists()

    @property
    def blobs_url(self) -> str:
        return (self.path / "blobs").as_uri()

    @property
    def toml(self) -> Path:
        return self.path / "tiro.toml"

    def secret_key(self) -> str:
        """Made once; tokens and sealed values die with it."""
        return self._secret(SECRET_KEY, lambda: base64.b64encode(secrets.token_bytes(32)).decode())

    def admin_token(self) -> str:
        """What the command line shows to the server's loopback routes."""
        return self._secret(ADMIN_TOKEN, lambda: secrets.token_urlsafe(32))

    def credentials(self) -> Credentials | None:
        """The first account, or None before the first start."""
        file = self.path / CREDENTIALS
        return msgspec.json.decode(file.read_bytes(), type=Credentials) if file.exists() else None

    def save_credentials(self, credentials: Credentials) -> None:
        """Kept for its owner only."""
        _write_secret(self.path / CREDENTIALS, msgspec.json.encode(credentials).decode())

    def ports(self) -> dict[str, int]:
        """Ports the Temporal server had last; kept while they are free, so that bookmarks and running clients stay good."""
        file = self.path / "ports.json"
        return {name: int(port) for name, port in json.loads(file.read_text()).items()} if file.exists() else {}

    def save_ports(self, ports: Mapping[str, int]) -> None:
        """Remember them."""
        (self.path / "ports.json").write_text(json.dumps(dict(ports)))

    def settings(self, environ: Mapping[str, str], port: int) -> Settings:
        """What an embedded server of this folder is told: the folder's own, then tiro.toml, then the environment. Raises Invalid."""
        defaults: dict[str, object] = {
            "database_url": self.database_url,
            "blobs_url": self.blobs_url,
            "secret_key": self.secret_key(),
            "scratch": str(self.path / "scratch"),
            "cache": str(self.path),
            "public_url": f"http://127.0.0.1:{port}",
            "embedded": True,
        }
        return read(environ, self.toml, defaults)

    def holder(self) -> Holder | None:
        """The running server of this folder, or None."""
        file = self.path / "lock"
        if not file.exists():
            return None
        with file.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read_holder(lock.read())
        return None

    @contextlib.contextmanager
    def held(self, port: int = 0) -> Iterator[Lock]:
        """Hold the folder. Raises ClickException naming the holder when another process has it."""
        self.make()
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            if not _locked(file.fileno()):
                raise click.ClickException(_refusal(self.path, _read_holder(file.read())))
            end_leftover(_read_holder(file.read()), self.path / "temporal.db")
            lock = Lock(self.path / "lock")
            lock.write(Holder(os.getpid(), port))
            try:
                yield lock
            finally:
                lock.clear()

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        file = self.path / name
        if not file.exists():
            _write_secret(file, make())
        return file.read_text().strip()


class Lock:
    """A held folder."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, holder: Holder) -> None:
        """Name the holder, for the next who asks."""
        self._file.write_bytes(msgspec.json.encode(holder))

    def clear(self) -> None:
        """Nobody holds it; nothing is left over."""
        self._file.write_bytes(b"")


def default_data(environ: Mapping[str, str]) -> Path:
    """Where an embedded server keeps its things unless told otherwise."""
    told, home = environ.get("TIRO_DATA"), environ.get("XDG_DATA_HOME")
    if told:
        return Path(told)
    return Path(home) / "tiro" if home else Path.home() / ".local" / "share" / "tiro"


def end_leftover(left: Holder | None, database: Path) -> None:
    """A killed server may leave its Temporal server behind, which would write the same file: end it, if it is really that one."""
    pid = left.temporal_pid if left is not None else None
    if pid is None or not _serves(pid, database):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + _END_WITHIN_S
    while _serves(pid, database) and time.monotonic() < until:
        time.sleep(0.05)


def _serves(pid: int, database: Path) -> bool:
    """Whether that process is the Temporal server over this file. What has ended has no command line any more."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"start-dev" in words and os.fsencode(database) in words


def _locked(descriptor: int) -> bool:
    until = time.monotonic() + _GLANCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True


def _read_holder(text: str) -> Holder | None:
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
        return msgspec.json.decode(text, type=Holder)
    return None


def _refusal(path: Path, holder: Holder | None) -> str:
    port = f", port {holder.port}" if holder and holder.port else ""
    who = f"process {holder.pid}{port}" if holder else "another process"
    return f"{path} is in use by {who}. Stop that server, or choose another folder with --data."


def _write_secret(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.rename(file)
