"""What the stations of a batch are asked and what they answer: ids, numbers and indexes, never a name or an address of a file."""

from __future__ import annotations

import msgspec

from activities.faults import Told


class BatchBrief(msgspec.Struct, frozen=True, kw_only=True):
    """What the workflow of a batch must know. `page_width`: chunks of a page that are under way at once.

    `fetches`: some of its files have addresses. False of batches that began before that was a station of its own.
    """

    files: int
    engines: tuple[str, ...]
    page_width: int
    fetches: bool = False


class CheckedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Pages with something to do; bytes of what was brought, and of what was fetched and completed before."""

    pages: tuple[int, ...]
    known_bytes: int


class PageTask(msgspec.Struct, frozen=True, kw_only=True):
    """A hundred files. `room_bytes`: what may still be fetched; `fetches` as in BatchBrief."""

    job_id: str
    run: int
    account_id: str
    dialect: str
    weight: float
    priority: int
    page: int
    files: int
    engines: tuple[str, ...]
    width: int
    room_bytes: int
    paused: bool = False
    fetches: bool = False

    @property
    def index(self) -> int:
        """Failures are counted by it."""
        return self.page


class PageEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What a page came to. `fault`: what ends the whole batch."""

    page: int
    fetched_bytes: int = 0
    fault: Told | None = None


class FetchPackTask(msgspec.Struct, frozen=True, kw_only=True):
    """Bring those of these files, all of one page, that have an address."""

    job_id: str
    run: int
    files: tuple[int, ...]
    room_bytes: int

    @property
    def index(self) -> int:
        """Failures are counted by it."""
        return self.files[0]


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """`later`: their turn has not come; `again`: to be asked for once more. All others that have an address are there, or have an end."""

    fetched_bytes: int = 0
    later: tuple[int, ...] = ()
    again: tuple[int, ...] = ()


class IngestPackTask(msgspec.Struct, frozen=True, kw_only=True):
    """Prepare these files, all of one page. `fetched`: what has an address has been brought already."""

    job_id: str
    run: int
    files: tuple[int, ...]
    room_bytes: int
    fetched: bool = False

    @property
    def index(self) -> int:
        """Failures are counted by it."""
        return self.files[0]


class Pack(msgspec.Struct, frozen=True):
    """Files whose audio lies together."""

    name: str
    files: tuple[int, ...]


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """`long`: to be done as jobs of their own; `again`: to be asked for once more. All others that are not in a pack have an end."""

    packs: tuple[Pack, ...] = ()
    long: tuple[int, ...] = ()
    again: tuple[int, ...] = ()
    fetched_bytes: int = 0


class TranscribePackTask(msgspec.Struct, frozen=True, kw_only=True):
    """Hear these files of a pack with `engines[0]`; the others of the chain are still to come. `primary`: the first of all."""

    job_id: str
    run: int
    pack: str
    files: tuple[int, ...]
    engines: tuple[str, ...]
    primary: str
    priority: int = 4

    @property
    def index(self) -> int:
        """Failures are counted by it."""
        return self.files[0]


class HeardPack(msgspec.Struct, frozen=True, kw_only=True):
    """`again`: to be heard once more; `passed`: by the next engine. All others have an end."""

    again: tuple[int, ...] = ()
    passed: tuple[int, ...] = ()


class FilesTask(msgspec.Struct, frozen=True, kw_only=True):
    """Some files of a batch."""

    job_id: str
    run: int
    files: tuple[int, ...]

    @property
    def index(self) -> int:
        """Failures are counted by it."""
        return self.files[0]
