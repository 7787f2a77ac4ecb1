"""What every blob store promises: folder, memory, and a real S3 server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.s3 import S3Server, s3_bucket, s3_server
from tiro.adapters.storage.folder import FolderBlobs
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.adapters.storage.s3 import S3Blobs, connect
from tiro.adapters.system import SystemClock
from tiro.model.errors import Permanent, Transient
from tiro.ports import Blobs

__all__ = ["s3_bucket", "s3_server"]
LARGE = bytes(range(256)) * 70_000  # 17.9 MB: three parts of a multipart upload


@pytest.fixture(params=["folder", "memory", "s3", "s3-prefix"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "folder":
        yield FolderBlobs(tmp_path / "blobs")
    elif request.param == "memory":
        yield MemoryBlobs(SystemClock())
    else:
        server: S3Server = request.getfixturevalue("s3_server")
        prefix = "deep/below" if request.param == "s3-prefix" else ""
        store = S3Blobs(connect(server.options), request.getfixturevalue("s3_bucket"), prefix)
        yield store
        store.close()


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [info.key for info in blobs.list(prefix)]


def code(call: Callable[[], object]) -> str:
    with pytest.raises((Permanent, Transient)) as caught:
        call()
    return caught.value.code


def test_what_is_put_comes_back(blobs: Blobs) -> None:
    ref = blobs.put("jobs/a/source", b"hello", "audio/flac")
    assert blobs.get("jobs/a/source") == b"hello"
    assert (ref.key, ref.size_bytes, ref.media_type) == ("jobs/a/source", 5, "audio/flac")
    assert ref.sha256 == hashlib.sha256(b"hello").hexdigest()


def test_an_empty_object_is_an_object(blobs: Blobs) -> None:
    writer = blobs.writer("a/empty")
    assert writer.commit().size_bytes == 0
    assert blobs.get("a/empty") == b""
    assert blobs.open("a/empty").read() == b""
    assert keys(blobs) == ["a/empty"]


def test_put_replaces(blobs: Blobs) -> None:
    blobs.put("a", b"one")
    blobs.put("a", b"three")
    assert blobs.get("a") == b"three"
    assert keys(blobs) == ["a"]


def test_nothing_is_visible_before_commit(blobs: Blobs) -> None:
    writer = blobs.writer("a/b")
    writer.write(b"half")
    assert blobs.head("a/b") is None
    assert keys(blobs) == []
    writer.write(memoryview(b" and half"))
    assert writer.size_bytes == 13
    ref = writer.commit()
    assert blobs.get("a/b") == b"half and half"
    assert ref.sha256 == hashlib.sha256(b"half and half").hexdigest()


def test_a_writer_replaces_only_at_commit(blobs: Blobs) -> None:
    blobs.put("a/b", b"old")
    writer = blobs.writer("a/b")
    writer.write(b"new")
    assert blobs.get("a/b") == b"old"
    writer.commit()
    assert blobs.get("a/b") == b"new"


def test_abort_leaves_nothing_and_may_be_repeated(blobs: Blobs) -> None:
    writer = blobs.writer("a/b")
    writer.write(b"x")
    writer.abort()
    writer.abort()
    assert keys(blobs) == []
    assert blobs.abort_stale(datetime.now(UTC) + timedelta(hours=1)) == 0


def test_abort_after_commit_is_harmless(blobs: Blobs) -> None:
    writer = blobs.writer("a/b")
    writer.write(b"x")
    writer.commit()
    writer.abort()
    assert blobs.get("a/b") == b"x"


def test_a_large_object_is_the_same_in_any_pieces(blobs: Blobs) -> None:
    writer = blobs.writer("large")
    for start in range(0, len(LARGE), 3_000_001):
        writer.write(LARGE[start : start + 3_000_001])
    ref = writer.commit()
    assert (ref.size_bytes, ref.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    with blobs.open("large") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == ref.sha256


def test_a_large_object_that_is_aborted_leaves_no_parts(blobs: Blobs) -> None:
    writer = blobs.writer("large")
    writer.write(LARGE)
    writer.abort()
    assert blobs.abort_stale(datetime.now(UTC) + timedelta(hours=1)) == 0
    assert blobs.head("large") is None


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (3, None), (0, 4), (2, 7), (5, 5), (7, 3), (9, 100), (10, None), (99, None), (99, 100)],
)
def test_open_reads_from_start_to_before_end(blobs: Blobs, start: int, end: int | None) -> None:
    blobs.put("digits", b"0123456789")
    with blobs.open("digits", start, end) as stream:
        assert stream.read() == b"0123456789"[start:end]


def test_a_stream_can_be_read_in_small_pieces(blobs: Blobs) -> None:
    blobs.put("digits", b"0123456789")
    with blobs.open("digits", 2) as stream:
        assert [stream.read(3), stream.read(3), stream.read(3), stream.read(3)] == [b"234", b"567", b"89", b""]


@pytest.mark.parametrize("span", [(0, None), (2, 5), (5, 5)])
def test_what_is_not_there_is_missing(blobs: Blobs, span: tuple[int, int | None]) -> None:
    blobs.put("a/b/c", b"x")
    for absent in ("nothing", "a/b", "a/b/c/d"):
        assert code(lambda key=absent: blobs.get(key)) == "blob_missing"  # type: ignore[misc]
        assert code(lambda key=absent: blobs.open(key, *span)) == "blob_missing"  # type: ignore[misc]
        assert blobs.head(absent) is None
        assert blobs.local_path(absent) is None
        blobs.delete(absent)
    assert keys(blobs) == ["a/b/c"]


def test_head_knows_size_and_age(blobs: Blobs) -> None:
    blobs.put("a", b"12345")
    info = blobs.head("a")
    assert info is not None
    assert (info.key, info.size_bytes) == ("a", 5)
    assert abs(info.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_is_on_its_way_can_be_read_where_the_store_is_a_folder(blobs: Blobs) -> None:
    """All of it, at any moment; whoever has opened that file keeps it when the object is made visible."""
    writer = blobs.writer("a")
    writer.write(b"first")
    path = blobs.begun_path(writer)
    if path is not None:
        with path.open("rb") as file:
            assert file.read() == b"first"
            writer.write(b" second")
            assert blobs.begun_path(writer) == path
            writer.commit()
            assert file.read() == b" second"
    writer.abort()


def test_put_if_absent_writes_once(blobs: Blobs) -> None:
    assert blobs.put_if_absent("a/claim", b"first") is True
    assert blobs.put_if_absent("a/claim", b"second") is False
    assert blobs.get("a/claim") == b"first"


def test_of_many_at_once_one_is_first(blobs: Blobs) -> None:
    gate = threading.Barrier(8)
    won: list[bytes] = []

    def claim(mine: bytes) -> None:
        gate.wait()
        if blobs.put_if_absent("claim", mine):
            won.append(mine)

    threads = [threading.Thread(target=claim, args=(b"%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert blobs.get("claim") == won[0]


def test_list_is_in_key_order_and_below_the_prefix(blobs: Blobs) -> None:
    names = ["jobs/a/1.json", "jobs/a-b/1", "jobs/a.b", "jobs/a/sub/2", "jobs/ab/1", "other"]
    for name in names:
        blobs.put(name, name.encode())
    assert keys(blobs) == sorted(names)
    assert keys(blobs, "jobs/a/") == ["jobs/a/1.json", "jobs/a/sub/2"]
    assert keys(blobs, "jobs/a") == sorted(names[:5])
    assert keys(blobs, "nothing/") == []
    assert [info.size_bytes for info in blobs.list("other")] == [5]


@pytest.mark.promise("J43")
def test_delete_prefix_takes_all_below_and_nothing_beside(blobs: Blobs) -> None:
    for name in ("jobs/a/1", "jobs/a/b/2", "jobs/ab/1", "keep"):
        blobs.put(name, b"x")
    open_upload = blobs.writer("jobs/a/source")
    open_upload.write(LARGE[: 9 * 1024 * 1024])
    assert blobs.delete_prefix("jobs/a/") == 2
    assert keys(blobs) == ["jobs/ab/1", "keep"]
    assert blobs.abort_stale(datetime.now(UTC) + timedelta(hours=1)) == 0
    assert blobs.delete_prefix("jobs/a/") == 0
    open_upload.abort()


def test_what_was_removed_while_it_was_written_does_not_come_back(blobs: Blobs) -> None:
    writer = blobs.writer("jobs/a/source")
    writer.write(LARGE[: 9 * 1024 * 1024])
    blobs.delete_prefix("jobs/a/")
    assert code(writer.commit) == "store_unavailable"
    assert keys(blobs) == []
    writer.abort()


def test_abort_stale_takes_only_what_is_old(blobs: Blobs) -> None:
    begun = blobs.writer("jobs/a/source")
    begun.write(LARGE)
    blobs.put("jobs/a/done", b"x")
    assert blobs.abort_stale(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert blobs.abort_stale(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert code(begun.commit) == "store_unavailable"
    assert keys(blobs) == ["jobs/a/done"]
    begun.abort()


def test_abort_stale_spares_what_it_is_told_to(blobs: Blobs) -> None:
    """By the key of what was to be written."""
    spared, other = blobs.writer("jobs/a/source"), blobs.writer("jobs/b/source")
    for writer in (spared, other):
        writer.write(LARGE)
    asked: list[str] = []

    def is_spared(key: str) -> bool:
        asked.append(key)
        return key == "jobs/a/source"

    assert blobs.abort_stale(datetime.now(UTC) + timedelta(hours=1), is_spared) == 1
    assert sorted(asked) == ["jobs/a/source", "jobs/b/source"]
    assert spared.commit().size_bytes == len(LARGE)
    with pytest.raises(Transient):
        other.commit()
    other.abort()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "a/..",
        ".",
        ".tmp/a",
        "a/.hidden",
        "a b",
        "ä",
        "a\\b",
        "a\0",
        "a\n",
        "a" * 300,
        "/".join(["a" * 100] * 10),
    ],
)
def test_a_foreign_key_is_refused_everywhere(blobs: Blobs, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: blobs.put(key, b"x"),
        lambda: blobs.put_if_absent(key, b"x"),
        lambda: blobs.writer(key),
        lambda: blobs.get(key),
        lambda: blobs.open(key),
        lambda: blobs.head(key),
        lambda: blobs.delete(key),
        lambda: blobs.local_path(key),
    ]
    assert {code(call) for call in calls} == {"invalid_blob_key"}


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../", ".tmp/", "ä"])
def test_a_foreign_prefix_is_refused(blobs: Blobs, prefix: str) -> None:
    assert code(lambda: list(blobs.list(prefix))) == "invalid_blob_key"
    assert code(lambda: blobs.delete_prefix(prefix)) == "invalid_blob_key"


def test_check_leaves_nothing_behind(blobs: Blobs) -> None:
    assert set(blobs.check()) <= {"store_forgets"}
    assert keys(blobs) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(0, 400), st.integers(0, 400))
def test_any_pieces_and_any_range(blobs: Blobs, pieces: list[bytes], start: int, end: int) -> None:
    writer = blobs.writer("any")
    for piece in pieces:
        writer.write(piece)
    writer.commit()
    with blobs.open("any", start, end) as stream:
        assert stream.read() == b"".join(pieces)[start:end]
