"""Where does a result go? A name that is safe on any disk, that no other reference has, and that is the same at every call."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

import click

FORMATS = ("json", "txt", "vtt")
REPORT = "report.json"
HIDDEN = ".tiro-batch"
"""Of the folder of results: what a later call must know."""
_NAME_BYTES = 180
_STRANGE = re.compile(r"[^\w .()\[\]{}+,=@&'~!#%-]")
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
_TAKEN = re.compile(rf"(?i).*\.(?:{'|'.join(FORMATS)}|part)")
"""Names of folders that could be those of results."""


class NotWritten(click.ClickException):
    """The folder of results cannot be written."""

    exit_code = 2


def place_of(reference: str, form: str) -> PurePosixPath:
    """Below the folder of results. A slash in a reference makes a folder."""
    *folders, name = reference.split("/")
    parts = [_safe(folder, taken=bool(_TAKEN.fullmatch(folder))) for folder in folders]
    return PurePosixPath(*parts, f"{_safe(name, taken=not folders and name.lower() == 'report')}.{form}")


def _safe(name: str, *, taken: bool) -> str:
    """As it is where that can be done; else with a mark of what it was, so that no two become one."""
    cut = _STRANGE.sub("_", name).encode()[:_NAME_BYTES].decode(errors="ignore").strip(" .")
    if cut == name and cut and not taken and not _DEVICES.fullmatch(cut) and not cut.startswith("~"):
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"~{mark}-{cut}" if cut else f"~{mark}"


def write_whole(file: Path, body: bytes) -> None:
    """Whole or not at all. Raises NotWritten."""
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(body)
        part.replace(file)
    except OSError as wrong:
        raise NotWritten(f"{shown(str(file))} cannot be written: {wrong.strerror}.") from None


def shown(text: str) -> str:
    """For a terminal: nothing in it moves a cursor."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
