"""Does a folder keep what only a folder promises: rights, leftovers, real files, full disks?"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tiro.adapters.storage import open_blobs
from tiro.adapters.storage.folder import FolderBlobs, faults
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.errors import Invalid, Permanent, Transient


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    blobs.put("jobs/a/source", b"x")
    begun = blobs.writer("jobs/b/source")
    modes = {
        path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "blobs", *tmp_path.glob("blobs/**/*")]
    }
    assert modes == {True: 0o700, False: 0o600}
    begun.abort()


def test_what_is_hashed_beside_is_what_was_written(tmp_path: Path) -> None:
    """Large pieces by another thread, small ones here; in their order."""
    pieces = [os.urandom(size) for size in (10, 300_000, 10, 300_000, 300_000)]
    writer = FolderBlobs(tmp_path).writer("jobs/a/source")
    for piece in pieces:
        writer.write(piece)
    assert writer.commit().sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_local_path_is_the_file(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("jobs/a/source", b"sound")
    path = blobs.local_path("jobs/a/source")
    assert path is not None
    assert path.read_bytes() == b"sound"


def test_a_dead_process_leaves_no_object_and_its_rest_is_found_by_age(tmp_path: Path) -> None:
    left = FolderBlobs(tmp_path).writer("jobs/a/source")
    left.write(b"half")
    later = FolderBlobs(tmp_path)
    assert list(later.list("")) == []
    assert later.abort_stale(datetime.now(UTC) - timedelta(minutes=1)) == 0
    assert later.abort_stale(datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert files(tmp_path) == []
    left.abort()


def test_nothing_but_the_object_stays_behind(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("jobs/a/source", b"1")
    blobs.put_if_absent("jobs/a/source", b"2")
    blobs.put_if_absent("jobs/a/claim", b"3")
    assert files(tmp_path) == ["jobs/a/claim", "jobs/a/source"]
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_deleting_leaves_no_empty_folders(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("jobs/a/spans/p/0000.flac", b"1")
    blobs.put("jobs/b/source", b"1")
    blobs.delete_prefix("jobs/a/")
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["b"]
    blobs.delete("jobs/b/source")
    assert [path.name for path in tmp_path.iterdir()] == [".tmp"]


def test_writing_beside_a_deletion_that_prunes_the_same_folders(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    done = threading.Event()

    def prune() -> None:
        while not done.is_set():
            blobs.delete_prefix("jobs/a/gone/")
            blobs.delete("jobs/a/kept")

    other = threading.Thread(target=prune)
    other.start()
    try:
        for _ in range(40):
            blobs.put("jobs/a/kept", b"x")
    finally:
        done.set()
        other.join()


def test_a_full_disk_is_transient() -> None:
    with pytest.raises(Transient) as caught, faults(), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    assert caught.value.code == "store_full"


def test_a_key_below_another_object_is_refused(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("a", b"x")
    with pytest.raises(Permanent) as caught:
        blobs.put("a/b", b"x")
    assert caught.value.code == "invalid_blob_key"
    assert files(tmp_path) == ["a"]


def test_a_link_out_of_the_store_is_not_walked(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_bytes(b"x")
    blobs = FolderBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / "jobs").symlink_to(outside)
    blobs.delete_prefix("")
    assert (outside / "keep").exists()


def test_no_extended_attributes_are_used(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("a", b"x", "audio/flac")
    assert os.listxattr(tmp_path / "a") == []


def test_the_address_chooses_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    store = open_blobs(f"file://{tmp_path}/with%20space")
    assert isinstance(store, FolderBlobs)
    store.put("a", b"x")
    assert (folder / "a").read_bytes() == b"x"
    assert isinstance(open_blobs("memory://"), MemoryBlobs)


@pytest.mark.parametrize("url", ["", "/data", "file://host/data", "file:data", "s3://", "http://x/y", "ftp://x"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        open_blobs(url)
    assert caught.value.code == "invalid_setting"
