"""Does the S3 store keep its head when the server does not, and its memory when the object is large?"""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import pytest

from tests.servers.s3 import S3Server, s3_bucket, s3_server
from tiro.adapters.storage import S3Options, open_blobs
from tiro.adapters.storage.s3 import S3Blobs, connect
from tiro.adapters.storage.s3_writer import PART_BYTES
from tiro.model.errors import Permanent, TiroError

__all__ = ["s3_bucket", "s3_server"]
BROKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\nonly this"
ERROR = b"HTTP/1.1 %s Sorry\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOWHERE = S3Options(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b", attempts=1)


@contextmanager
def scripted(answer: bytes) -> Iterator[str]:
    """A server that says the same to everyone and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def serve() -> None:
        while True:
            try:
                talk, _ = listener.accept()
            except OSError:
                return
            with talk:
                talk.recv(65536)
                talk.sendall(answer)
                talk.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def store(options: S3Options, bucket: str = "bucket") -> Iterator[S3Blobs]:
    blobs = S3Blobs(connect(options), bucket)
    yield blobs
    blobs.close()


def error(call: Callable[[], object]) -> TiroError:
    with pytest.raises(TiroError) as caught:
        call()
    return caught.value


def test_a_truncated_answer_is_noticed() -> None:
    with scripted(BROKEN) as endpoint, store(msgspec.structs.replace(NOWHERE, endpoint=endpoint)) as blobs:
        wrong = error(lambda: blobs.get("a"))
        assert (wrong.code, wrong.again) == ("store_unavailable", True)
        with blobs.open("a") as stream:
            assert error(stream.read).code == "store_unavailable"


@pytest.mark.parametrize("status", [b"500", b"503", b"403"])
def test_a_refusing_server_is_transient(status: bytes) -> None:
    with scripted(ERROR % status) as endpoint, store(msgspec.structs.replace(NOWHERE, endpoint=endpoint)) as blobs:
        for call in (lambda: blobs.get("a"), lambda: blobs.put("a", b"x"), lambda: blobs.head("a")):
            wrong = error(call)
            assert (wrong.code, wrong.again) == ("store_unavailable", True)


def test_a_server_that_is_away_is_transient() -> None:
    with store(NOWHERE) as blobs:
        for call in (lambda: blobs.get("a"), lambda: blobs.put("a", b"x"), lambda: list(blobs.list(""))):
            wrong = error(call)
            assert (wrong.code, wrong.again) == ("store_unavailable", True)


def test_check_says_when_the_bucket_is_missing(s3_server: S3Server) -> None:
    with store(s3_server.options, "no-such-bucket") as blobs:
        wrong = error(blobs.check)
        assert isinstance(wrong, Permanent)
        assert wrong.code == "bucket_missing"


def test_memory_is_flat_while_a_large_object_goes_up(s3_server: S3Server, s3_bucket: str) -> None:
    with store(s3_server.options, s3_bucket) as blobs:
        blobs.put("warm", b"x")
        writer = blobs.writer("large")
        piece = bytes(1024 * 1024)
        tracemalloc.start()
        for _ in range(64):
            writer.write(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert writer.commit().size_bytes == 64 * 1024 * 1024
        assert peak < 3 * PART_BYTES


def test_a_completion_whose_answer_was_lost_counts(s3_server: S3Server, s3_bucket: str) -> None:
    with store(s3_server.options, s3_bucket) as blobs:
        writer = blobs.writer("large")
        writer.write(bytes(PART_BYTES + 1))
        writer._send_part()
        upload = writer._upload
        assert upload is not None
        blobs._client.complete_multipart_upload(
            Bucket=s3_bucket, Key="large", UploadId=upload, MultipartUpload={"Parts": writer._parts}
        )
        assert writer.commit().size_bytes == PART_BYTES + 1


def test_listing_and_deleting_go_on_over_pages(s3_server: S3Server, s3_bucket: str) -> None:
    with store(s3_server.options, s3_bucket) as blobs:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: blobs.put(f"many/{number:04d}", b""), range(1005)))
        assert [info.key for info in blobs.list("many/")] == [f"many/{number:04d}" for number in range(1005)]
        assert blobs.delete_prefix("many/") == 1005
        assert list(blobs.list("")) == []


def test_the_usual_variables_lead_to_the_server(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environ().items():
        monkeypatch.setenv(name, value)
    blobs = open_blobs(f"s3://{s3_bucket}/some/prefix")
    assert isinstance(blobs, S3Blobs)
    assert blobs.check() == ()
    blobs.put("a", b"x")
    assert [info.key for info in blobs.list("")] == ["a"]
    blobs.close()
    with store(s3_server.options, s3_bucket) as bare:
        assert [info.key for info in bare.list("")] == ["some/prefix/a"]
