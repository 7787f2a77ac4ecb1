"""Are the files of a model the ones that were meant? Where its folder holds a `SHA256SUMS`, they must be exactly these."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tiro.model.errors import Permanent

NAME = "SHA256SUMS"
"""As `sha256sum` writes it: 64 hex digits, two signs, and the file's path inside the folder."""
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")


def verify(folder: Path) -> bool:
    """Whether a list was there; False: nothing was checked.

    Raises Permanent `engine_unavailable` for a file that is another, is missing, or is not in the list. Files whose path has a part
    that begins with a dot belong to whoever fetched the model; nobody loads them.
    """
    manifest = folder / NAME
    if not manifest.is_file():
        return False
    expected = _read(manifest)
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    shown = {name for name in present if not any(part.startswith(".") for part in Path(name).parts)} - {NAME}
    wrong = sorted(shown ^ expected.keys()) or [
        name for name in sorted(expected) if _sha256(folder / name) != expected[name]
    ]
    if wrong:
        raise _refused(folder, f"not those of its {NAME}: {', '.join(wrong)}")
    return True


def _read(manifest: Path) -> dict[str, str]:
    lines = [line for line in manifest.read_text(errors="replace").splitlines() if line.strip()]
    found = [_LINE.fullmatch(line) for line in lines]
    named = {match[2]: match[1].lower() for match in found if match}
    if not named or len(named) < len(lines):
        raise _refused(manifest.parent, f"not to be checked: its {NAME} is not what sha256sum writes")
    return named


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refused(folder: Path, why: str) -> Permanent:
    text = f"The files of the model in {folder} are {why}. Fetch it again, or mend the list if the files are meant."
    return Permanent("engine_unavailable", text)
