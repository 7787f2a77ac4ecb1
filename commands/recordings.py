"""What is to be transcribed, and where do its results go? Names on the command line become sources and files."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import msgspec

STDIN = "-"
FORMATS = ("txt", "json", "srt", "vtt", "docx")


class Recording(msgspec.Struct, frozen=True):
    """One source: a file of this machine, or an address. `name` is how a person is told about it, `stem` names its results."""

    name: str
    stem: str
    file: Path | None
    url: str | None


class Destination(msgspec.Struct, frozen=True):
    """Where results go: `file` for a single one, else `folder`, else standard output."""

    file: Path | None = None
    folder: Path | None = None

    @property
    def is_stdout(self) -> bool:
        return self.file is None and self.folder is None


def recordings_of(sources: Sequence[str], scratch: Path) -> list[Recording]:
    """Checked before anything starts. Standard input is spooled into `scratch`. Raises UsageError."""
    if sources.count(STDIN) > 1:
        raise click.UsageError("Standard input (-) can be read once.")
    found: list[Recording] = []
    taken: set[str] = set()
    for source in sources:
        recording = _recording(source, scratch)
        number, stem = 1, recording.stem
        while stem in taken:
            number += 1
            stem = f"{recording.stem}-{number}"
        taken.add(stem)
        found.append(msgspec.structs.replace(recording, stem=stem))
    return found


def destination_of(output: Path | None, recordings: int, formats: Sequence[str]) -> Destination:
    """A single result goes to standard output or to the file that was named; several go to a folder (this one)."""
    single = recordings == 1 and len(formats) == 1
    if output is None:
        return Destination() if single and formats[0] != "docx" else Destination(folder=Path())
    if output.is_dir() or not single:
        if output.exists() and not output.is_dir():
            raise click.UsageError(f"There are several results, and {output} is a file: name a folder with -o.")
        return Destination(folder=output)
    return Destination(file=output)


def write(destination: Destination, recording: Recording, form: str, body: bytes) -> Path | None:
    """Put one result where it belongs, whole or not at all; None: it went to standard output."""
    if destination.is_stdout:
        sys.stdout.buffer.write(body if body.endswith(b"\n") else body + b"\n")
        sys.stdout.flush()
        return None
    file = destination.file or (destination.folder or Path()) / f"{recording.stem}.{form}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_bytes(body)
        part.rename(file)
    except OSError as wrong:
        raise click.ClickException(f"{file} cannot be written: {wrong.strerror}.") from None
    return file


def _recording(source: str, scratch: Path) -> Recording:
    if source == STDIN:
        return Recording("standard input", "stdin", _spooled(scratch), None)
    parts = urlsplit(source)
    if parts.scheme in {"http", "https"}:
        stem = Path(unquote(parts.path)).stem or parts.hostname or "recording"
        return Recording(f"{parts.hostname}/…/{stem}", stem, None, source)
    file = Path(source)
    if not file.is_file():
        why = "is a folder" if file.is_dir() else "does not exist"
        raise click.UsageError(f"{source} {why}. Name files, http(s) addresses, or - for standard input.")
    return Recording(file.name, file.stem, file, None)


def _spooled(scratch: Path) -> Path:
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    return Path(out.name)
