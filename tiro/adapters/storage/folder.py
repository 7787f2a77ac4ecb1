"""The blob store as a folder: one file per object, visible only when whole and on the disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from tiro.adapters.storage.keys import checked_key, checked_prefix, missing
from tiro.adapters.storage.past_cache import LargeFile
from tiro.adapters.storage.streams import Slice, buffered
from tiro.model.blob import BlobInfo, BlobRef
from tiro.model.errors import Permanent, Transient
from tiro.ports import BlobWriter

_UNFINISHED = ".tmp"
_BESIDE_BYTES = 256 << 10
"""From here on a piece is hashed by another thread while it is written."""
_HASHERS = ThreadPoolExecutor(thread_name_prefix="sha256")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
_TRIES = 1000
"""A folder that was just made may be pruned by a deletion beside us; each try makes it anew."""


class FolderBlobs:
    """Keeps its promises by temporary file, fsync and rename. Files are 0600, folders 0700, and hard links must work.

    Unfinished objects lie below `.tmp/<key>/`, so that they are found by key and by age, whoever left them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / _UNFINISHED
        with faults():
            _make(self._unfinished)

    def writer(self, key: str, media_type: str = "application/octet-stream") -> FolderWriter:
        """Begin an object."""
        return FolderWriter(self._root / checked_key(key), self._unfinished, key, media_type)

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """A small object at once."""
        writer = self.writer(key, media_type)
        try:
            writer.write(data)
            return writer.commit()
        finally:
            writer.abort()

    def put_if_absent(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> bool:
        """Write unless the key exists; of several at once exactly one gets True."""
        writer = self.writer(key, media_type)
        try:
            writer.write(data)
            return writer.commit_new()
        finally:
            writer.abort()

    def get(self, key: str) -> bytes:
        """The whole object."""
        with self.open(key) as stream, faults():
            return stream.read()

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream of bytes [start, end)."""
        path = self._root / checked_key(key)
        with faults():
            try:
                file = path.open("rb", buffering=0)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise missing() from None
            file.seek(start)
            return buffered(Slice(file, None if end is None else max(0, end - start)))

    def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None."""
        path = self.local_path(key)
        return None if path is None else _info(key, path)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Objects whose key begins with `prefix`, in key order."""
        for key, path in _walk(self._root, checked_prefix(prefix)):
            info = _info(key, path)
            if info is not None:
                yield info

    def delete(self, key: str) -> None:
        """Remove the object, and the folders that it leaves empty."""
        _remove(self._root / checked_key(key), self._root)

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object and every unfinished one below `prefix`; how many objects were removed."""
        for _, path in _walk(self._unfinished, checked_prefix(prefix)):
            _remove(path, self._unfinished)
        return sum(_remove(path, self._root) for _, path in _walk(self._root, prefix))

    def abort_stale(self, older_than: datetime, spared: Callable[[str], bool] | None = None) -> int:
        """Remove unfinished objects that were begun before that moment. Age is that of the last write."""
        removed = 0
        for name, path in _walk(self._unfinished, ""):
            info = _info(name, path)
            is_spared = spared is not None and spared(name.rpartition("/")[0])
            if info is not None and info.modified_at < older_than and not is_spared:
                removed += _remove(path, self._unfinished)
        return removed

    def local_path(self, key: str) -> Path | None:
        """The object's own file; None when there is none. Read it, never write it."""
        path = self._root / checked_key(key)
        with faults():
            return path if path.is_file() else None

    def begun_path(self, writer: BlobWriter) -> Path | None:
        """The unfinished object's own file."""
        return writer.flushed() if isinstance(writer, FolderWriter) else None

    def check(self) -> tuple[str, ...]:
        """Write, read and remove a small object. Raises what the store raises; a folder has nothing to warn of."""
        key = f"check/{secrets.token_hex(8)}"
        self.put(key, b"tiro")
        self.get(key)
        self.delete(key)
        return ()


class FolderWriter:
    """An object on its way into a folder."""

    def __init__(self, final: Path, unfinished: Path, key: str, media_type: str) -> None:
        self._final = final
        self._root = unfinished.parent
        self._unfinished = unfinished
        self._key = key
        self._media_type = media_type
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._temporary = unfinished / key / secrets.token_hex(8)
        self._file = _create(self._temporary)

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._size_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes."""
        with self._hashing(data), faults():
            self._file.write(data)
        self._size_bytes += len(data)

    def flushed(self) -> Path:
        """Where all that was taken so far can be read, until it is moved to where it stays."""
        with faults():
            self._file.flush()
        return self._temporary

    def commit(self) -> BlobRef:
        """Make the object visible, durably."""
        self._finish(self._temporary.replace)
        return BlobRef(self._key, self._size_bytes, self._hash.hexdigest(), self._media_type)

    def commit_new(self) -> bool:
        """Make the object visible unless one of its key is; False then."""
        is_new = True

        def link(final: Path) -> None:
            nonlocal is_new
            try:
                os.link(self._temporary, final)
            except FileExistsError:
                is_new = False

        self._finish(link)
        return is_new

    def abort(self) -> None:
        """Forget the bytes."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(Transient):
            _remove(self._temporary, self._unfinished)

    @contextlib.contextmanager
    def _hashing(self, data: bytes | memoryview) -> Iterator[None]:
        """Done when the block ends; by another thread, where that is worth it."""
        if len(data) < _BESIDE_BYTES:
            self._hash.update(data)
            yield
            return
        hashed = _HASHERS.submit(self._hash.update, data)
        try:
            yield
        finally:
            hashed.result()

    def _finish(self, move: Callable[[Path], object]) -> None:
        with faults():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            for _ in range(_TRIES):
                _make(self._final.parent)
                try:
                    move(self._final)
                    break
                except FileNotFoundError:
                    if not self._temporary.exists():
                        raise Transient(
                            "store_unavailable", "The object was removed while it was being written."
                        ) from None
            else:
                raise Transient("store_unavailable", "The object's folder is removed again and again.")
            with contextlib.suppress(FileNotFoundError):  # deleted again already, and its folder with it
                _sync(self._final.parent)
        _prune(self._temporary.parent, self._unfinished)


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """The operating system's errors in our words: `store_full`, `invalid_blob_key`, else `store_unavailable`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Transient("store_full", "The blob store is full.", errno=error.errno) from error
        if error.errno in _IN_THE_WAY:
            raise Permanent(
                "invalid_blob_key", "Another object is in the way of this key.", errno=error.errno
            ) from error
        raise Transient("store_unavailable", "The blob store cannot be used.", errno=error.errno) from error


def _create(path: Path) -> LargeFile:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with faults():
        for attempt in range(_TRIES):
            _make(path.parent)
            try:
                return LargeFile(os.open(path, flags, 0o600))
            except FileNotFoundError:
                if attempt == _TRIES - 1:
                    raise
    raise AssertionError("unreachable")


def _make(folder: Path) -> None:
    """Make the folder and those above it, each one durably."""
    if folder.is_dir():
        return
    for _ in range(_TRIES):
        _make(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if folder.is_dir():
                return
            raise
        except FileNotFoundError:
            continue
        with contextlib.suppress(FileNotFoundError):
            _sync(folder.parent)
        return


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path, root: Path) -> bool:
    with faults():
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        finally:
            _prune(path.parent, root)
    return True


def _prune(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = folder.parent


def _info(key: str, path: Path) -> BlobInfo | None:
    with faults():
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
    return BlobInfo(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


def _walk(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """(key, file) below `root` for keys that begin with `prefix`, in key order, one folder in memory at a time."""
    above, _, begin = prefix.rpartition("/")
    folder = root / above
    with faults():
        try:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(folder)]
        except (FileNotFoundError, NotADirectoryError):
            return
    for name, is_folder in sorted(entries, key=lambda entry: f"{entry[0]}/" if entry[1] else entry[0]):
        if not name.startswith(begin) or name.startswith("."):
            continue
        key = f"{above}/{name}" if above else name
        if is_folder:
            yield from _walk(root, f"{key}/")
        else:
            yield key, folder / name
