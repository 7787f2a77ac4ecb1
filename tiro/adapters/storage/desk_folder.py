"""Addresses for bytes where the store has none of its own (a folder, memory): they lead to our own face, and parts wait in the store.

An open upload is a mark at `<key>.parts/<upload id>/open` and an object for each part beside it, named by number and tag: so that it
belongs to its job, and goes with it.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime

from tiro.adapters.storage.keys import checked_key
from tiro.model.blob import BlobInfo, BlobRef
from tiro.model.errors import Invalid, Permanent
from tiro.model.upload import StoredPart
from tiro.ports import Blobs, BlobWriter, PutAddress
from tiro.sign.passes import Pass, Passes, moment

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_COPY_BYTES = 1 << 20
_OPEN = "open"


class FolderDesk:
    """The `PartsDesk` over any store that this server itself writes to."""

    def __init__(self, blobs: Blobs, passes: Passes) -> None:
        self._blobs = blobs
        self._passes = passes

    def put(
        self, key: str, *, size_bytes: int | None, media_type: str | None, at_most_bytes: int, until: datetime
    ) -> PutAddress:
        """Our own address, bound to what is given."""
        allowed = Pass(
            deed="put",
            subject=checked_key(key),
            until=moment(until),
            size_bytes=size_bytes,
            media_type=media_type,
            at_most_bytes=at_most_bytes,
        )
        return PutAddress(self._passes.url(allowed), {} if media_type is None else {"Content-Type": media_type})

    def begin(self, key: str) -> str:
        """The mark."""
        upload_id = secrets.token_hex(16)
        self._blobs.put(f"{_folder(key, upload_id)}{_OPEN}", b"")
        return upload_id

    def part(self, key: str, upload_id: str, number: int, *, at_most_bytes: int, until: datetime) -> str:
        """Our own address."""
        allowed = Pass(
            deed="part",
            subject=checked_key(key),
            until=moment(until),
            upload_id=upload_id,
            number=number,
            at_most_bytes=at_most_bytes,
        )
        return self._passes.url(allowed)

    def part_writer(self, key: str, upload_id: str, number: int) -> FolderPartWriter:
        """Each attempt is an object of its own: one that is slow never takes the place of the one that was made after it."""
        folder = self._opened(key, upload_id)
        before = [info.key for info in self._blobs.list(f"{folder}{number:05d}.")]
        etag = secrets.token_hex(16)
        writer = self._blobs.writer(f"{folder}{number:05d}.{etag}")
        return FolderPartWriter(writer, etag, lambda: self._replace(key, upload_id, before))

    def present(self, key: str, upload_id: str) -> dict[int, StoredPart]:
        """Of several under one number the one that came last."""
        newest: dict[int, tuple[BlobInfo, str]] = {}
        for info, number, etag in self._parts(self._opened(key, upload_id)):
            if number not in newest or newest[number][0].modified_at <= info.modified_at:
                newest[number] = info, etag
        return {number: StoredPart(info.size_bytes, etag) for number, (info, etag) in newest.items()}

    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> None:
        """Copied into one object, which is seen when it is whole; then the parts go."""
        try:
            self._put_together(key, self._opened(key, upload_id), etags)
        except Permanent as gone:
            # another call was first, and took the parts with it, whether this one had seen them or not; or its answer was lost
            taken = gone.code in {"upload_missing", "blob_missing", "invalid_upload"}
            done = taken and not self._is_open(key, upload_id)
            if not done or self._blobs.head(key) is None:
                raise
        self.abort(key, upload_id)

    def abort(self, key: str, upload_id: str) -> None:
        """The mark first: an upload without it has no parts, whatever is left of them."""
        if _UPLOAD_ID.fullmatch(upload_id):
            self._blobs.delete(f"{_folder(key, upload_id)}{_OPEN}")
            self._blobs.delete_prefix(_folder(key, upload_id))

    def _put_together(self, key: str, folder: str, etags: Mapping[int, str]) -> None:
        there = {(number, etag): info.key for info, number, etag in self._parts(folder)}
        if not etags or not all(part in there for part in etags.items()):
            raise Invalid("invalid_upload", "A part is not there, or another came in its place.", param="parts")
        writer = self._blobs.writer(key)
        try:
            for part in sorted(etags.items()):
                with self._blobs.open(there[part]) as source:
                    shutil.copyfileobj(source, writer, _COPY_BYTES)
            writer.commit()
        finally:
            writer.abort()

    def _parts(self, folder: str) -> list[tuple[BlobInfo, int, str]]:
        named = [(info, info.key.removeprefix(folder)) for info in self._blobs.list(folder)]
        return [(info, int(name[:5]), name[6:]) for info, name in named if name != _OPEN]

    def _replace(self, key: str, upload_id: str, before: list[str]) -> None:
        """After a part has come."""
        if not self._is_open(key, upload_id):
            self._blobs.delete_prefix(_folder(key, upload_id))
            raise _missing()
        for other in before:
            self._blobs.delete(other)

    def _opened(self, key: str, upload_id: str) -> str:
        if not self._is_open(key, upload_id):
            raise _missing()
        return _folder(key, upload_id)

    def _is_open(self, key: str, upload_id: str) -> bool:
        named = _UPLOAD_ID.fullmatch(upload_id) is not None
        return named and self._blobs.head(f"{_folder(key, upload_id)}{_OPEN}") is not None


class FolderPartWriter:
    """A part on its way: an object like any other, whose coming is followed by the going of what it replaces."""

    def __init__(self, writer: BlobWriter, etag: str, settle: Callable[[], None]) -> None:
        self._writer = writer
        self._etag = etag
        self._settle = settle

    @property
    def etag(self) -> str:
        """Its own, whatever its bytes are."""
        return self._etag

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._writer.size_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes."""
        self._writer.write(data)

    def commit(self) -> BlobRef:
        """Raises Permanent `upload_missing` when its upload was ended meanwhile."""
        ref = self._writer.commit()
        self._settle()
        return ref

    def abort(self) -> None:
        """Forget the bytes."""
        self._writer.abort()


def _folder(key: str, upload_id: str) -> str:
    return f"{checked_key(key)}.parts/{upload_id}/"


def _missing() -> Permanent:
    return Permanent("upload_missing", "No such upload is open.")
