"""What was handed in as a batch: its pages and their index in the store, checked against their checksums whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec

from tiro.model.batch import PAGE_FILES, ManifestEntry, ManifestIndex, pages_of
from tiro.model.blob import BlobRef, manifest_key, manifest_page_key
from tiro.model.errors import Permanent
from tiro.model.request import ManifestSource
from tiro.ports import Blobs


class Manifests:
    """Written once, at intake. Everything here blocks. Reading raises Permanent `manifest_mismatch` for what is not as it was written."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def write(
        self,
        job_id: str,
        entries: Sequence[ManifestEntry],
        *,
        declared_files: int | None = None,
        declared_bytes: int | None = None,
    ) -> ManifestSource:
        """Pages, then the index that names them: a batch whose index is there has all its pages."""
        pages = [
            self._blobs.put(manifest_page_key(job_id, page), msgspec.json.encode(_slice(entries, page)), _JSON)
            for page in range(pages_of(len(entries)))
        ]
        uploads = sum(1 for entry in entries if entry.sealed_url is None)
        index = ManifestIndex(len(entries), tuple(pages), uploads, declared_files, declared_bytes)
        blob = self._blobs.put(manifest_key(job_id), msgspec.json.encode(index), _JSON)
        return ManifestSource(blob, len(entries), uploads)

    def index(self, source: ManifestSource) -> ManifestIndex:
        """The pages, and what was said of the whole."""
        index = _decoded(self._checked(source.blob), ManifestIndex)
        if index.files != source.files or len(index.pages) != pages_of(index.files):
            raise _mismatch()
        return index

    def page_of(self, source: ManifestSource, number: int) -> list[ManifestEntry]:
        """The entries of one page, numbered as they should be."""
        return self._page(self.index(source), number)

    def entries(self, index: ManifestIndex, first: int = 0) -> Iterator[ManifestEntry]:
        """All entries from that one on, a page in memory at a time."""
        for number in range(first // PAGE_FILES, len(index.pages)):
            yield from (entry for entry in self._page(index, number) if entry.index >= first)

    def _page(self, index: ManifestIndex, number: int) -> list[ManifestEntry]:
        entries = _decoded(self._checked(index.pages[number]), list[ManifestEntry])
        first = number * PAGE_FILES
        if [entry.index for entry in entries] != list(range(first, min(first + PAGE_FILES, index.files))):
            raise _mismatch()
        return entries

    def _checked(self, ref: BlobRef) -> bytes:
        try:
            data = self._blobs.get(ref.key)
        except Permanent:
            raise _mismatch() from None
        if sha256(data).hexdigest() != ref.sha256:
            raise _mismatch()
        return data


_JSON = "application/json"
T = TypeVar("T")


def _slice(entries: Sequence[ManifestEntry], page: int) -> Sequence[ManifestEntry]:
    return entries[page * PAGE_FILES : (page + 1) * PAGE_FILES]


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError:
        raise _mismatch() from None


def _mismatch() -> Permanent:
    return Permanent("manifest_mismatch", "The manifest of this batch is not what was handed in.")
