"""How does a form with a file come in? Streamed: the file's bytes go to a blob writer while they arrive, and are nowhere else.

Memory is bounded by two batches, whatever is sent: a batch is being written while the next one fills.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from api.body import announced_bytes, chunks
from api.config import RequestLimits
from api.faces import HttpRequest
from api.inflow import Inflow
from tiro.model.blob import BlobRef
from tiro.model.errors import Invalid, TooLarge
from tiro.ports import BlobWriter

FILE_FIELD = "file"
_HEADROOM_BYTES = 256 << 10
"""Text fields, part headers and boundaries around the file."""


class NoFile(Invalid):
    """There is a field `file`, but what it holds is a text."""


class FormLimits(msgspec.Struct, frozen=True):
    """What this account may send in one form."""

    max_file_bytes: int
    request: RequestLimits


class Form(msgspec.Struct, frozen=True):
    """Text fields (of a name that comes twice the last one), and the file as it is stored; None: there was no file."""

    fields: dict[str, str]
    file: BlobRef | None


def boundary_of(request: HttpRequest, limits: FormLimits) -> str:
    """What can be said before the body is read. Raises Invalid without a boundary, TooLarge by the Content-Length."""
    if (announced_bytes(request) or 0) > limits.max_file_bytes + _HEADROOM_BYTES:
        raise TooLarge(limits.max_file_bytes)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get("boundary", "")
    if not 1 <= len(boundary) <= 200 or not boundary.isascii():
        raise Invalid("invalid_request", "The multipart boundary is missing or odd.")
    return str(boundary)


async def receive_form(
    request: HttpRequest, limits: FormLimits, open_writer: Callable[[], Awaitable[BlobWriter]]
) -> Form:
    """The whole form. Raises Invalid, TooLarge, ClientGone, Transient of the store; then nothing was stored."""
    reading = _Reading(limits, open_writer)
    boundary = boundary_of(request, limits)
    parser = PushMultipartParser(
        boundary,
        max_segment_count=limits.request.parts,
        max_header_size=8 << 10,
        header_charset="latin-1",  # fits all bytes: names of files come in any encoding, and ours are ASCII
    )
    try:
        async for chunk in _beginning_with(b"--" + boundary.encode(), chunks(request, limits.request)):
            reading.count(len(chunk))
            for event in _events(parser, chunk):
                await reading.take(event)
        _finish(parser)
        return await reading.done()
    except BaseException:
        await reading.abort()
        raise


async def _beginning_with(start: bytes, coming: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body, if it begins with its boundary: the parser reads what stands before one differently when it comes in other pieces."""
    head: bytes | None = b""
    async for chunk in coming:
        if head is None:
            yield chunk
            continue
        head += chunk
        if len(head) < len(start) + 2:
            continue
        if not head.removeprefix(b"\r\n").startswith(start):
            raise _malformed()
        yield head
        head = None


def _events(parser: PushMultipartParser, chunk: bytes) -> list[MultipartSegment | bytes | None]:
    try:
        return list(parser.parse(chunk)) if not parser.closed else []
    except MultipartError:
        raise _malformed() from None


def _finish(parser: PushMultipartParser) -> None:
    try:
        parser.close()
    except MultipartError:
        raise _malformed() from None


class _Reading:
    """One form while it arrives: which part is open, and what it adds up to."""

    def __init__(self, limits: FormLimits, open_writer: Callable[[], Awaitable[BlobWriter]]) -> None:
        self._limits = limits
        self._open_writer = open_writer
        self._fields: dict[str, str] = {}
        self._name = ""
        self._kind = "ignored"
        self._text = bytearray()
        self._text_bytes = 0
        self._all_bytes = 0
        self._file: Inflow | None = None

    def count(self, size_bytes: int) -> None:
        """Whatever it is made of, the body has an end."""
        self._all_bytes += size_bytes
        if self._all_bytes > self._limits.max_file_bytes + _HEADROOM_BYTES:
            raise TooLarge(self._limits.max_file_bytes)

    async def take(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            await self._begin(event)
        elif event is None:
            self._end()
        elif self._kind == "file" and self._file is not None:
            await self._file.take(event)
        else:
            self._take_text(event)

    async def done(self) -> Form:
        return Form(self._fields, await self._file.commit() if self._file else None)

    async def abort(self) -> None:
        if self._file is not None:
            await self._file.abort()

    async def _begin(self, segment: MultipartSegment) -> None:
        self._name, self._text = segment.name or "", bytearray()
        self._kind = "file" if _is_file(segment) else "text"
        if self._kind == "text" and self._name == FILE_FIELD:
            raise NoFile("invalid_request", "The field file must be a file.", param=FILE_FIELD)
        if self._kind == "file" and self._name != FILE_FIELD:
            self._kind = "ignored"
        if self._kind == "file":
            if self._file is not None:
                raise Invalid("invalid_request", "Send one file.", param=FILE_FIELD)
            self._file = Inflow(await self._open_writer(), self._limits.max_file_bytes)

    def _take_text(self, data: bytes) -> None:
        self._text_bytes += len(data)
        if self._text_bytes > self._limits.request.text_bytes:
            raise Invalid("invalid_request", f"The fields are larger than {self._limits.request.text_bytes} bytes.")
        if self._kind == "text":
            self._text += data

    def _end(self) -> None:
        if self._kind != "text":
            return
        try:
            text = self._text.decode()
        except UnicodeDecodeError:
            raise Invalid("invalid_request", "A field is not UTF-8.", param=self._param()) from None
        if "\x00" in text:
            raise Invalid("invalid_request", "A field contains NUL.", param=self._param())
        self._fields[self._name] = text

    def _param(self) -> str | None:
        """A field's name, as far as it can be ours."""
        return self._name if self._name.isidentifier() and len(self._name) <= 64 else None


def _is_file(segment: MultipartSegment) -> bool:
    """By filename, in either spelling, or by a type that no text field has. The name itself is a stranger's word: it is not kept."""
    disposition = dict(segment.headerlist).get("Content-Disposition", "").lower()
    typed = segment.content_type not in {None, "", "text/plain", "application/json"}
    return segment.filename is not None or "filename*" in disposition or typed


def _malformed() -> Invalid:
    return Invalid("invalid_request", "The multipart form is malformed or incomplete.")
