"""From the JSON of a job to the core's words: pure functions. What is wrong with it is said in the codes of this dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec

from api.body import take
from api.dialects.transcribe.jobs_wire import BatchFields, BigFileFields, FileFields, ResumeFields, UploadPage, UrlPlace
from api.dialects.transcribe.options import REFERENCE_CHARS, Choices, language_of, options_of, reference_of
from tiro.model.batch import MAX_BYTES, MAX_FILES, BatchEntryWish
from tiro.model.errors import Invalid
from tiro.model.request import AwaitedSource, JobOptions
from tiro.model.speech import EngineFacts

T = TypeVar("T", bound=msgspec.Struct)
S = TypeVar("S", int, str)

PAGE_FILES = 500
"""Files of one page of upload URLs."""
NAME_CHARS = 1024
NOTHING_YET = AwaitedSource()
"""The source of a batch before its manifest is written."""
_BAD = "invalid_job_request"
_BAD_FILE = "invalid_file_metadata"
_BAD_PAGE = "invalid_upload_page"
_BAD_UPLOAD = "invalid_upload"
CODES: dict[str, str] = {
    **dict.fromkeys(("invalid_request", "invalid_request_options", "request_too_large", "empty_batch"), _BAD),
    **dict.fromkeys(("invalid_source_url", "invalid_webhook_url", "unsupported_language"), _BAD),
    "duplicate_reference": _BAD_FILE,
    "unsupported_media_type": "invalid_json",
}
"""What the core, or a form, calls otherwise."""
_EXTENSIONS = frozenset({"mp3", "mpeg", "mpga", "m4a", "wav", "webm"})
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_TYPES = frozenset(
    {
        *("audio/mpeg", "audio/mp3", "audio/mpga", "audio/x-mpeg", "audio/x-mp3", "audio/mpeg3", "video/mpeg"),
        *("audio/mp4", "audio/m4a", "audio/x-m4a", "audio/mp4a-latm"),
        *("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
        *("audio/webm", "video/webm"),
    }
)
"""What may be declared; the bytes are looked at in any case, and decide."""


class BigFile(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, at `url` or to be brought."""

    options: JobOptions
    reference: str | None
    webhook_url: str | None
    file_reference: str
    url: str | None = None
    awaited: AwaitedSource = AwaitedSource()
    name: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Many recordings. `told_at_once`: the answer says how to bring all of them, else pages of upload URLs are asked for.

    `declared_files`, `declared_bytes` None: nothing was said of the whole.
    """

    options: JobOptions
    reference: str | None
    webhook_url: str | None
    files: tuple[BatchEntryWish, ...]
    declared_files: int | None
    declared_bytes: int | None
    told_at_once: bool


class PageFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose upload URL is asked for, and what is said of it anew."""

    reference: str
    name: str | None
    media_type: str | None
    size_bytes: int | None


def asked_of(body: Mapping[str, Any], chain: Sequence[EngineFacts]) -> BigFile | Batch:
    """Raises Invalid `invalid_job_request`, `invalid_file_metadata`, `too_many_files`, `batch_too_large`."""
    match body.get("type"):
        case "big_file":
            return _big_file(body, chain)
        case "batch":
            return _many(body, chain, told_at_once=False)
        case None if "files" in body:
            asked = _many(body, chain, told_at_once=True)
            return _alone(asked) if len(asked.files) == 1 else asked
        case _:
            raise Invalid(_BAD, "type is big_file or batch.", param="type")


def page_of(body: Mapping[str, Any]) -> tuple[PageFile, ...]:
    """Raises Invalid `invalid_upload_page`, `invalid_file_metadata`."""
    files = _taken(body, UploadPage, _BAD_PAGE).files
    if not 1 <= len(files) <= PAGE_FILES:
        raise Invalid(_BAD_PAGE, f"Ask for 1 to {PAGE_FILES} files at a time.", param="files")
    page = tuple(_page_file(_file_of(one)) for one in files)
    if len({one.reference for one in page}) < len(page):
        raise Invalid(_BAD_FILE, "A file is asked for twice.", param="file_id")
    return page


def resume_of(body: Mapping[str, Any]) -> ResumeFields:
    """Raises Invalid `invalid_upload`, `invalid_upload_type`."""
    upload = body.get("upload")
    if not isinstance(upload, dict):
        raise Invalid(_BAD_UPLOAD, "upload is missing.", param="upload")
    told = _taken(upload, ResumeFields, _BAD_UPLOAD)
    if told.type is None:
        raise Invalid(_BAD_UPLOAD, "upload.type is missing.", param="upload.type")
    if told.type not in {"multipart", "put"}:
        raise Invalid("invalid_upload_type", "upload.type must be multipart or put.", param="upload.type")
    if not told.key or (told.type == "multipart" and not told.upload_id):
        raise Invalid(_BAD_UPLOAD, "upload.key, and of a multipart upload also upload.upload_id, are needed.")
    return told


def agreed(before: S | None, now: S | None, param: str) -> S | None:
    """What is declared twice is declared alike. Raises Invalid `invalid_file_metadata`."""
    if before is not None and now is not None and before != now:
        raise Invalid(_BAD_FILE, f"{param} is not what it was when the job was created.", param=param)
    return now if before is None else before


def _big_file(body: Mapping[str, Any], chain: Sequence[EngineFacts]) -> BigFile:
    fields = _taken(body, BigFileFields, _BAD)
    if (fields.size_bytes is None) == (fields.source is None):
        raise Invalid(_BAD, "Send either size_bytes, for an upload, or source.", param="size_bytes")
    _check_size(fields.size_bytes, _BAD)
    media_type = _media_type(fields.content_type, fields.filename, _BAD)
    reference = reference_of(fields.reference_id, _BAD)
    return BigFile(
        options=_options(body, chain),
        reference=reference,
        webhook_url=fields.webhook_url,
        file_reference=reference or _numbered(0),
        url=None if fields.source is None else _url_of(fields.source),
        awaited=AwaitedSource(fields.size_bytes, media_type),
        name=fields.filename,
    )


def _url_of(source: Mapping[str, Any]) -> str:
    place = _taken(source, UrlPlace, _BAD)
    if place.type != "url":
        raise Invalid(_BAD, "source.type is url.", param="source.type")
    return place.url


def _many(body: Mapping[str, Any], chain: Sequence[EngineFacts], *, told_at_once: bool) -> Batch:
    fields = _taken(body, BatchFields, _BAD)
    if not fields.files:
        raise Invalid(_BAD, "files is empty.", param="files")
    if len(fields.files) > MAX_FILES:
        raise Invalid(
            "too_many_files", f"A batch has at most {MAX_FILES} files.", param="files", limits={"max_files": MAX_FILES}
        )
    for name in ("file_count", "total_size_bytes"):
        if (getattr(fields, name) or 0) < 0:
            raise Invalid(_BAD, f"{name} is not negative.", param=name)
    options = _options(body, chain)
    files, options = _in_their_languages(tuple(_wishes(fields.files)), fields.files, options)
    _check_total(files, fields.total_size_bytes)
    return Batch(
        options=options,
        reference=reference_of(fields.reference_id, _BAD),
        webhook_url=fields.webhook_url,
        files=files,
        declared_files=fields.file_count,
        declared_bytes=fields.total_size_bytes,
        told_at_once=told_at_once,
    )


def _alone(asked: Batch) -> BigFile:
    """A list of one file is that file; the job goes by its name, and its language is the job's."""
    [file] = asked.files
    return BigFile(
        options=msgspec.structs.replace(asked.options, language=file.language or asked.options.language),
        reference=asked.reference or file.reference,
        webhook_url=asked.webhook_url,
        file_reference=file.reference,
        url=file.url,
        awaited=AwaitedSource(file.size_bytes, file.media_type),
        name=file.name,
    )


def _wishes(files: Sequence[Any]) -> Iterator[BatchEntryWish]:
    seen: set[str] = set()
    for index, item in enumerate(files):
        fields = _file_of(item)
        reference = fields.reference_id or fields.file_id or _numbered(index)
        if reference in seen:
            raise Invalid(_BAD_FILE, "Two files have the same reference_id.", param="reference_id")
        seen.add(reference)
        yield BatchEntryWish(
            reference=reference,
            url=fields.url,
            size_bytes=fields.size_bytes,
            media_type=_media_type(fields.content_type, fields.filename, _BAD_FILE),
            name=fields.filename,
            language=_language(fields.language),
        )


def _file_of(item: object) -> FileFields:
    if not isinstance(item, dict):
        raise Invalid(_BAD_FILE, "files holds objects.", param="files")
    fields = _taken(item, FileFields, _BAD_FILE)
    for name in ("reference_id", "file_id"):
        if len(getattr(fields, name) or "") > REFERENCE_CHARS:
            raise Invalid(_BAD_FILE, f"{name} has at most {REFERENCE_CHARS} characters.", param=name)
    _check_size(fields.size_bytes, _BAD_FILE)
    return fields


def _page_file(fields: FileFields) -> PageFile:
    reference = fields.file_id or fields.reference_id
    if reference is None:
        raise Invalid(_BAD_FILE, "file_id is missing.", param="file_id")
    media_type = _media_type(fields.content_type, fields.filename, _BAD_FILE)
    return PageFile(reference=reference, name=fields.filename, media_type=media_type, size_bytes=fields.size_bytes)


def _in_their_languages(
    files: tuple[BatchEntryWish, ...], sent: Sequence[Mapping[str, Any]], options: JobOptions
) -> tuple[tuple[BatchEntryWish, ...], JobOptions]:
    """A file's null says: find it out. Where one says so against the language of all, that language goes to those that say nothing."""
    undecided = any("language" in one and file.language is None for one, file in zip(sent, files, strict=True))
    if options.language is None or not undecided:
        return files, options
    named = (
        file if "language" in one else msgspec.structs.replace(file, language=options.language)
        for one, file in zip(sent, files, strict=True)
    )
    return tuple(named), msgspec.structs.replace(options, language=None)


def _check_total(files: Sequence[BatchEntryWish], declared: int | None) -> None:
    if max(declared or 0, sum(file.size_bytes or 0 for file in files)) > MAX_BYTES:
        raise _too_large()


def _check_size(size_bytes: int | None, code: str) -> None:
    if size_bytes is None:
        return
    if size_bytes < 1:
        raise Invalid(code, "size_bytes is at least 1.", param="size_bytes")
    if size_bytes > MAX_BYTES:
        raise _too_large()


def _too_large() -> Invalid:
    return Invalid("batch_too_large", "A job takes at most 10 GB.", limits={"max_bytes": MAX_BYTES})


def _media_type(content_type: str | None, filename: str | None, code: str) -> str | None:
    """What is declared, without parameters: a type that says something decides, else the name, if it has an ending."""
    if len(filename or "") > NAME_CHARS:
        raise Invalid(code, f"filename has at most {NAME_CHARS} characters.", param="filename")
    kind = (content_type or "").partition(";")[0].strip().lower()
    ending = PurePosixPath(filename or "").suffix.lower().removeprefix(".")
    fits = kind in _TYPES if kind not in _UNTOLD else not ending or ending in _EXTENSIONS
    if not fits:
        raise Invalid(code, "The format is mp3, mpeg, mpga, m4a, wav or webm.", param="content_type")
    return None if kind in _UNTOLD else kind


def _options(body: Mapping[str, Any], chain: Sequence[EngineFacts]) -> JobOptions:
    return options_of(_taken(body, Choices, _BAD), chain, _BAD)


def _language(text: str | None) -> str | None:
    try:
        return language_of(text)
    except Invalid as wrong:
        raise Invalid(_BAD, wrong.message, **wrong.extras) from None


def _numbered(index: int) -> str:
    """What a file is called whose owner gave it no name."""
    return f"file_{index + 1:06d}"


def _taken(values: Mapping[str, object], shape: type[T], code: str) -> T:
    try:
        return take(values, shape)
    except Invalid as wrong:
        raise Invalid(code, wrong.message, **wrong.extras) from None
