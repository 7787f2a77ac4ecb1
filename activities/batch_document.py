"""How the result document of a batch is written: a piece per page, then the pieces in order, never whole in memory. Blocking."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from activities.packing import transcripts_of
from tiro.model.batch import BatchFile, ManifestEntry, pages_of
from tiro.model.blob import BlobRef, document_key, file_id, pack_result_key, page_document_key, transcript_key
from tiro.model.errors import Permanent
from tiro.model.job import Job
from tiro.model.transcript import Transcript
from tiro.model.wallet import Charged
from tiro.ports import Blobs
from tiro.render.documents import DOCUMENTS
from tiro.services.batch_line import OWN_BLOB

T = TypeVar("T")
_PACKS_AT_HAND = 4
"""Files of a pack are neighbours: a page goes through its packs about one by one."""
_PIECE_BYTES = 1 << 20


class BatchDocument:
    """Writes as the job's dialect says. The same files give the same bytes, however often they are written."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def write_page(
        self, job: Job, page: int, entries: Sequence[ManifestEntry], files: Mapping[int, BatchFile]
    ) -> BlobRef:
        """The items of one page. Raises Permanent `result_missing` when a transcript is not there."""
        document = DOCUMENTS[job.dialect]
        transcripts = _Transcripts(self._blobs, job.job_id)
        items = (document.item(job, entry, files[entry.index], transcripts.of(files[entry.index])) for entry in entries)
        return self._written(
            page_document_key(job.job_id, page), document.media_type, _joined(items, document.separator)
        )

    def write(self, job: Job, completed: int, failed: int, charged: Charged) -> BlobRef:
        """The document. Raises Permanent `result_missing` when a page is not there."""
        document = DOCUMENTS[job.dialect]

        def pieces() -> Iterator[bytes]:
            yield document.head(job, completed, failed, charged)
            for page in range(pages_of(job.files_total or 0)):
                if page:
                    yield document.separator
                yield from self._page(job.job_id, page)
            yield document.tail()

        return self._written(document_key(job.job_id), document.media_type, pieces())

    def _page(self, job_id: str, page: int) -> Iterator[bytes]:
        with _present(lambda: self._blobs.open(page_document_key(job_id, page))) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def _written(self, key: str, media_type: str, pieces: Iterable[bytes]) -> BlobRef:
        writer = self._blobs.writer(key, media_type)
        try:
            for piece in pieces:
                writer.write(piece)
            return writer.commit()
        except BaseException:
            writer.abort()
            raise


class _Transcripts:
    """Those of one batch, from packs or from blobs of their own."""

    def __init__(self, blobs: Blobs, job_id: str) -> None:
        self._blobs = blobs
        self._job_id = job_id
        self._packs: OrderedDict[str, dict[int, Transcript]] = OrderedDict()

    def of(self, file: BatchFile) -> Transcript | None:
        """None for a file that failed."""
        if file.state != "completed" or file.pack is None:
            return None
        if file.pack == OWN_BLOB:
            stored = _present(lambda: self._blobs.get(transcript_key(file_id(self._job_id, file.index))))
            return msgspec.json.decode(stored, type=Transcript)
        return self._pack(file.pack)[file.index]

    def _pack(self, name: str) -> dict[int, Transcript]:
        if name not in self._packs:
            self._packs[name] = transcripts_of(_present(lambda: self._blobs.get(pack_result_key(self._job_id, name))))
            if len(self._packs) > _PACKS_AT_HAND:
                self._packs.popitem(last=False)
        return self._packs[name]


def _joined(items: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    for number, item in enumerate(items):
        yield separator + item if number else item


def _present(read: Callable[[], T]) -> T:
    try:
        return read()
    except Permanent:
        raise Permanent("result_missing", "A result of this batch is not there any more.") from None
