"""What does a folder of results know of earlier calls? Lines that are only ever added, so that a call that dies loses at most its last.

A server's batch is called a handover here: recordings that went to the server together.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from commands.batch.places import HIDDEN, NotWritten, shown


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """Where the work is done: an address, or a data folder; `key`: a mark of the key, not the key."""

    server: str
    key: str


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """Written before the server is asked, so that asking again gives the same batch. `stamps`: reference -> the file's."""

    ask: str
    stamps: dict[str, str]


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn"):
    """The server has certainly not taken it: as if it had never been asked."""

    ask: str


class Created(msgspec.Struct, frozen=True, tag="created"):
    """The server's name for it."""

    ask: str
    job_id: str


class Brought(msgspec.Struct, frozen=True, tag="brought"):
    """A file has come there whole."""

    ask: str
    reference: str


class Started(msgspec.Struct, frozen=True, tag="started"):
    """All has come; the server works on it."""

    ask: str


class Result(msgspec.Struct, frozen=True, tag="result"):
    """What became of a recording. `code`, `message`: why not."""

    ask: str
    reference: str
    state: Literal["completed", "failed"]
    seconds: int | None = None
    cost: float | None = None
    code: str | None = None
    message: str | None = None


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """As the server calls it; "gone": it knows nothing of it any more. `cost`: what was charged for it, in dollars."""

    ask: str
    status: str
    cost: float = 0.0


Line = Begun | Asked | Withdrawn | Created | Brought | Started | Result | Ended
_LASTING = Begun | Asked | Created | Started | Ended
"""Lines that reach the disk before anything else happens."""
_READER = msgspec.json.Decoder(Line)


class Handover(msgspec.Struct):
    """One batch of the server, as far as it came."""

    ask: str
    stamps: dict[str, str]
    job_id: str | None = None
    brought: set[str] = msgspec.field(default_factory=set)
    started: bool = False
    status: str | None = None
    cost: float = 0.0

    @property
    def open(self) -> bool:
        """Its end is not known yet."""
        return self.status is None


class Journal:
    """One folder's. Held by one command at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / HIDDEN
        self.begun: Begun | None = None
        self.handovers: dict[str, Handover] = {}
        self.results: dict[str, Result] = {}
        self._out = -1

    @contextlib.contextmanager
    def held(self) -> Iterator[Journal]:
        """Read, and open for more. Raises NotWritten, ClickException when another command holds it."""
        file = self.folder / "journal.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._out = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as wrong:
            raise NotWritten(f"{shown(str(file))} cannot be written: {wrong.strerror}.") from None
        try:
            self._lock()
            self._read(file.read_bytes())
            yield self
        finally:
            os.close(self._out)

    def add(self, line: Line) -> None:
        """Remember it, here and on the disk."""
        try:
            os.write(self._out, msgspec.json.encode(line) + b"\n")
            if isinstance(line, _LASTING):
                os.fsync(self._out)
        except OSError as wrong:
            raise NotWritten(f"{shown(str(self.folder))} cannot be written: {wrong.strerror}.") from None
        self._take(line)

    def handover_of(self, reference: str) -> Handover | None:
        """The last one that it was part of."""
        return next((one for one in reversed(self.handovers.values()) if reference in one.stamps), None)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = shown(str(self.folder.parent))
            raise NotWritten(f"Another `tiro batch` works on {where}: wait for it, or name another --out.") from None

    def _read(self, written: bytes) -> None:
        whole, _, torn = written.rpartition(b"\n")
        if torn:
            # a call that died while it wrote: what it did not finish writing was not so
            os.ftruncate(self._out, len(written) - len(torn))
        for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
            try:
                self._take(_READER.decode(line))
            except (msgspec.MsgspecError, KeyError):
                where = shown(str(self.folder / "journal.jsonl"))
                raise click.ClickException(f"{where}, line {number}, is not what was written there.") from None

    def _take(self, line: Line) -> None:
        match line:
            case Begun():
                self.begun = line
            case Asked():
                self.handovers[line.ask] = Handover(line.ask, line.stamps)
            case Withdrawn():
                del self.handovers[line.ask]
            case Created():
                self.handovers[line.ask].job_id = line.job_id
            case Brought():
                self.handovers[line.ask].brought.add(line.reference)
            case Started():
                self.handovers[line.ask].started = True
            case Result():
                self._take_result(line)
            case Ended():
                self.handovers[line.ask].status = line.status
                self.handovers[line.ask].cost = line.cost

    def _take_result(self, line: Result) -> None:
        """What an earlier handover still says of a recording that was handed over anew does not count."""
        last = self.handover_of(line.reference)
        if last is not None and last.ask == line.ask:
            self.results[line.reference] = line
