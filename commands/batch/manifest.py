"""Which recordings are meant? A list (CSV, JSON lines) or a folder becomes entries; what is wrong with it is said line by line."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from commands.batch.places import shown
from tiro.model.languages import LANGUAGES

COLUMNS = ("reference_id", "file", "url", "language")
REFERENCE_CHARS = 128
FILE_BYTES = 10 * 1024**3
"""A batch of the server is not larger, so no file is."""
_COMPLAINTS = 20
_EXTENSIONS = frozenset(
    "3gp aac aif aiff amr avi caf flac m4a m4b mka mkv mov mp3 mp4 mpeg mpga oga ogg opus wav webm wma wmv".split()
)
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One recording: a file of this machine or an address. `line` of the list, None in a folder. `stamp`: changes with the file."""

    reference: str
    line: int | None = None
    file: Path | None = None
    url: str | None = None
    language: str | None = None
    size_bytes: int = 0
    stamp: str = ""


class BadManifest(click.ClickException):
    """What is wrong, line by line; nothing was sent."""

    exit_code = 2

    def __init__(self, source: Path, complaints: list[str]) -> None:
        more = len(complaints) - _COMPLAINTS
        listed = [f"  {complaint}" for complaint in complaints[:_COMPLAINTS]]
        listed += [f"  … and {more} more"] if more > 0 else []
        super().__init__("\n".join([f"{shown(str(source))} cannot be used; nothing was sent.", *listed]))


def entries_of(source: Path) -> tuple[list[Entry], Counter[str]]:
    """All of them, in order, and how many files of a folder were left out, by extension. Raises BadManifest."""
    if source.is_dir():
        return _folder(source)
    reader = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(source.suffix.lower())
    if not source.exists():
        raise BadManifest(source, ["it does not exist"])
    if reader is None:
        raise BadManifest(source, ["name a folder, or a list that ends in .csv or .jsonl"])
    return _listed(source, reader), Counter()


def _listed(source: Path, reader: Callable[[str], Iterator[Row]]) -> list[Entry]:
    entries: list[Entry] = []
    complaints: list[str] = []
    seen: dict[str, int | None] = {}
    try:
        for row in reader(_text(source)):
            try:
                entry = _entry(row, source.parent)
                _once(entry, seen)
                entries.append(entry)
            except _Wrong as wrong:
                complaints.append(f"line {row.line}: {wrong}")
    except _Wrong as wrong:
        complaints.append(str(wrong))
    if not entries and not complaints:
        complaints.append("it lists no recording")
    if complaints:
        raise BadManifest(source, complaints)
    return entries


class _Wrong(Exception):
    """Said to a person."""


class Row(msgspec.Struct, frozen=True):
    """A line as it stands. `trouble`: why it cannot be read."""

    line: int
    values: Mapping[str, object]
    trouble: str | None = None


def _text(source: Path) -> str:
    raw = source.read_bytes()
    if raw.startswith(_BOMS) or b"\0" in raw[:4096]:
        raise _Wrong("it is not UTF-8 (UTF-16, it seems, or no text at all): save it as “CSV UTF-8”, or with `iconv`")
    try:
        return raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        raise _Wrong(f"line {line}: it is not UTF-8: save it as “CSV UTF-8”, or with `iconv`") from None


def _csv(text: str) -> Iterator[Row]:
    head = text.lstrip("\r\n").split("\n", 1)[0]
    comma = ";" if ";" in head and "," not in head else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True, skipinitialspace=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                line = lines.line_num + 1
                continue
            if columns is None:
                columns = _columns(cells, line)
            elif len(cells) > len(columns):
                yield Row(
                    line, {}, f"{len(cells)} values for {len(columns)} columns: a comma within a value needs quotes"
                )
            else:
                yield Row(line, dict(zip(columns, cells, strict=False)))
            line = lines.line_num + 1
    except csv.Error as wrong:
        raise _Wrong(f"line {line}: {wrong}") from None


def _columns(cells: list[str], line: int) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    known = f"the first line names the columns, some of: {', '.join(COLUMNS)}"
    for name, count in Counter(columns).items():
        if name not in COLUMNS:
            raise _Wrong(f"line {line}: {shown(name) or 'an empty name'!r} is no column; {known}")
        if count > 1:
            raise _Wrong(f"line {line}: the column {name} stands there twice")
    return columns


def _json_lines(text: str) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            values = msgspec.json.decode(content, type=dict[str, object])
        except (msgspec.MsgspecError, RecursionError):
            yield Row(line, {}, "it is not a JSON object")
            continue
        strange = [name for name in values if name not in COLUMNS]
        if strange:
            yield Row(line, {}, f"{shown(strange[0])!r} is no field; there are {', '.join(COLUMNS)}")
        else:
            yield Row(line, values)


def _entry(row: Row, folder: Path) -> Entry:
    if row.trouble:
        raise _Wrong(row.trouble)
    file, url = _string(row, "file"), _string(row, "url")
    if (file is None) == (url is None):
        raise _Wrong("it has both file and url" if file else "it has neither file nor url")
    reference = _string(row, "reference_id") or file or _of_address(url or "")
    if len(reference) > REFERENCE_CHARS:
        raise _Wrong(f"its reference_id is longer than {REFERENCE_CHARS} characters")
    entry = Entry(reference=reference, line=row.line, language=_language(row))
    return _with_file(entry, folder / file) if file else msgspec.structs.replace(entry, url=_address(url or ""))


def _string(row: Row, name: str) -> str | None:
    value = row.values.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Wrong(f"{name} is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong(f"{name} holds half a character") from None
    if "\0" in value:
        raise _Wrong(f"{name} holds a NUL")
    return value.strip() or None


def _language(row: Row) -> str | None:
    code = _string(row, "language")
    if code is None or code == "auto":
        return None
    if code not in LANGUAGES:
        raise _Wrong(f"{shown(code)!r} is no code of a language; write en, de, … or leave it empty")
    return code


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _Wrong("its url is none") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _Wrong("its url does not begin with https:// and a host")
    return url


def _of_address(url: str) -> str:
    """Without its query, which may be a secret."""
    _address(url)
    return Path(urlsplit(url).path).name or str(urlsplit(url).hostname)


def _with_file(entry: Entry, file: Path) -> Entry:
    try:
        found = file.stat()
    except OSError as wrong:
        raise _Wrong(f"{shown(str(file))}: {(wrong.strerror or 'it cannot be found').lower()}") from None
    if not file.is_file():
        raise _Wrong(f"{shown(str(file))} is not a file")
    if not os.access(file, os.R_OK):
        raise _Wrong(f"{shown(str(file))} may not be read by you")
    if found.st_size == 0:
        raise _Wrong(f"{shown(str(file))} is empty")
    if found.st_size > FILE_BYTES:
        raise _Wrong(f"{shown(str(file))} is larger than 10 GiB")
    stamp = f"{found.st_size}:{found.st_mtime_ns}"
    return msgspec.structs.replace(entry, file=file.resolve(), size_bytes=found.st_size, stamp=stamp)


def _once(entry: Entry, seen: dict[str, int | None]) -> None:
    if entry.reference in seen:
        before = seen[entry.reference]
        raise _Wrong(f"reference {shown(entry.reference)!r} stands in line {before} already: give each its own")
    seen[entry.reference] = entry.line


def _folder(source: Path) -> tuple[list[Entry], Counter[str]]:
    """Files below it that look like recordings; what begins with a dot is nobody's business, links to folders are not followed."""
    entries: list[Entry] = []
    complaints: list[str] = []
    others: Counter[str] = Counter()
    for place, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            if name.startswith("."):
                continue
            if file.suffix.lower().removeprefix(".") not in _EXTENSIONS:
                others[file.suffix.lower() or name] += 1
                continue
            try:
                entries.append(_with_file(Entry(reference=_of_path(file.relative_to(source))), file))
            except _Wrong as wrong:
                complaints.append(str(wrong))
    if complaints:
        raise BadManifest(source, complaints)
    if not entries:
        raise BadManifest(source, ["there is no recording in it"])
    return entries, others


def _of_path(path: Path) -> str:
    """Short enough for the server, and still nobody else's."""
    name = str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
    if len(name) <= REFERENCE_CHARS:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{mark}~{name[-(REFERENCE_CHARS - len(mark) - 1) :].lstrip('/')}"
