"""Where do files in passing lie, and what becomes of those whose process was killed? Folders that their living owners hold locked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def root_of(setting: str) -> Path:
    """The scratch folder of all processes with this `TIRO_SCRATCH` (empty: the system's); made when it is not there."""
    folder = Path(setting or tempfile.gettempdir()) / "tiro-scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def passing_folder(root: Path | None, prefix: str) -> Iterator[Path]:
    """A folder of one's own, gone afterwards; should this process be killed meanwhile, whoever calls `clear` next removes it."""
    if root is not None:
        root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def clear(root: Path) -> int:
    """Remove the folders below `root` that nobody holds; how many."""
    removed = 0
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed += 1
            finally:
                os.close(handle)
    return removed
