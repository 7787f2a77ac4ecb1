"""Forms as hostile or broken clients send them: raw bytes on a socket. Nothing may stay behind, and nothing may grow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.config import RequestLimits
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def _request(api: Api, length: int | None, content_type: str = "multipart/form-data; boundary=b") -> bytes:
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = (
        "POST /jobs HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {api.key}",
        f"Content-Type: {content_type}",
        size,
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def _send(api: Api, body: bytes | Iterator[bytes], length: int | None = None) -> tuple[int, bytes]:
    """As a plain blocking client: all of the body, then the answer. An iterator without `length` goes in chunks."""
    headers = {**api.bearer(api.key), "Content-Type": "multipart/form-data; boundary=b"}
    if length is not None:
        headers["Content-Length"] = str(length)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)) as connection:
        connection.request(
            "POST", "/jobs", body=body, headers=headers, encode_chunked=length is None and not isinstance(body, bytes)
        )
        answer = connection.getresponse()
        return answer.status, answer.read()


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def _nothing_stays(api: Api) -> None:
    """No object, no job, no open upload: also a moment after the connection is gone."""
    async with asyncio.timeout(5):
        while True:
            async with api.house.records.begin() as tx:
                open_uploads = await tx.jobs.stale_uploads(api.house.clock.now())
            left = [*api.house.blobs.list("jobs/"), *open_uploads]
            if not left:
                break
            await asyncio.sleep(0.05)
    assert (await api.http.get("/jobs")).json()["jobs"] == []


@pytest.mark.parametrize("cut", [0, 10, len(HEAD), len(HEAD) + 5_000])
async def test_a_connection_that_breaks_leaves_nothing(api: Api, cut: int) -> None:
    """Truncated bodies: the client goes away in the middle."""
    body = HEAD + tone_wav(1.0) + TAIL
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(_request(api, len(body)) + body[:cut])
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()
    await _nothing_stays(api)


@pytest.mark.parametrize(
    "body",
    [
        HEAD + b"RIFF",
        HEAD + b"RIFF\r\n--b",
        b"",
        b"--b--\r\n",
        b"--b\r\nContent-Disposition: attachment\r\n\r\nx" + TAIL,
        b"--b\r\nNo-Colon\r\n\r\nx" + TAIL,
        b"--b\r\n\r\nx" + TAIL,
        b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx" + TAIL,
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\n\xff' + TAIL,
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\ne\x00n' + TAIL,
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * 1001 + TAIL[2:],
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"y" * 70_000 + TAIL,
        b"not multipart at all",
    ],
    ids=range(13),
)
async def test_a_broken_form_is_a_400(api: Api, body: bytes) -> None:
    """No closing boundary, odd headers, bad UTF-8, NUL, 1,001 parts, a field too long."""
    answer = await api.raw(_request(api, len(body)) + body)
    assert _status(answer) == 400, answer
    assert b'"error":"invalid_request"' in answer
    await _nothing_stays(api)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 300}"],
)
async def test_a_form_needs_its_boundary(api: Api, content_type: str) -> None:
    """Said before the body is read."""
    assert _status(await api.raw(_request(api, 1000, content_type))) == 400
    await _nothing_stays(api)


async def test_a_chunked_form_is_taken(api: Api) -> None:
    """A client that does not know the length."""
    body = HEAD + tone_wav(1.0) + TAIL
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert _status(await api.raw(_request(api, None) + chunked)) == 202


async def test_both_lengths_are_none(api: Api) -> None:
    """Content-Length and Transfer-Encoding together: the way to smuggle a request."""
    both = _request(api, 5).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = await api.raw(both + b"0\r\n\r\n" + _request(api, 0))
    assert b" 202 " not in answer
    await _nothing_stays(api)


async def test_a_slow_form_is_ended(make_api: ApiMaker) -> None:
    """A byte now and then keeps no connection open: 408, and the connection is closed."""
    api = await make_api(limits=RequestLimits(window_s=0.6, window_bytes=1000))
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(_request(api, 10_000) + HEAD)
    answer = b""
    async with asyncio.timeout(5):
        while not answer:
            writer.write(b"x")
            try:
                answer = await asyncio.wait_for(reader.read(65536), 0.1)
            except TimeoutError:
                continue
        while more := await reader.read(65536):
            answer += more
    writer.close()
    assert _status(answer) == 408
    await _nothing_stays(api)


async def test_slow_json_is_ended(make_api: ApiMaker) -> None:
    """The same patience for every body."""
    api = await make_api(limits=RequestLimits(window_s=0.3))
    assert _status(await api.raw(_request(api, 100, "application/json") + b"{")) == 408


@pytest.mark.promise("J19")
async def test_an_announced_size_over_the_cap_is_refused_before_the_body(make_api: ApiMaker) -> None:
    """413 file_too_large with limit_bytes, although not a byte of the body was sent."""
    api = await make_api(plan="free")
    answer = await api.raw(_request(api, 200 << 20))
    assert _status(answer) == 413
    assert b'"error":"file_too_large"' in answer
    assert b'"limit_bytes":104857600' in answer
    await _nothing_stays(api)


@pytest.mark.promise("J19")
async def test_a_client_that_sends_all_first_reads_the_refusal(make_api: ApiMaker) -> None:
    """The connection is not torn down under it."""
    api = await make_api(plan="free")

    status, body = await asyncio.to_thread(_send, api, bytes(101 << 20))
    assert (status, b"file_too_large" in body) == (413, True)


@pytest.mark.promise("J19")
async def test_a_chunked_file_over_the_cap_is_refused_while_it_comes(make_api: ApiMaker) -> None:
    """Counted, not believed; no more than the cap is ever stored."""
    api = await make_api(plan="free")

    pieces = iter([HEAD, *([bytes(1 << 20)] * 101), TAIL])
    status, _ = await asyncio.to_thread(_send, api, pieces)
    assert status == 413
    await _nothing_stays(api)


async def test_memory_stays_flat(api: Api) -> None:
    """A file of 200 MiB and a text field of 100 MiB cost a few MiB: nothing is gathered."""
    block = bytes(1 << 20)

    async def send(head: bytes, mebibytes: int) -> int:
        length = len(head) + (mebibytes << 20) + len(TAIL)
        status, _ = await asyncio.to_thread(_send, api, iter([head, *([block] * mebibytes), TAIL]), length)
        return status

    await send(HEAD, 20)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await send(HEAD, 200) in {202, 415}
    field = b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\n'
    assert await send(field, 100) == 400
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 24, grown_mib


async def test_the_file_is_written_once(api: Api, tmp_path: Path) -> None:
    """What is stored is what was sent, and no copy of it lies anywhere else."""
    sent = os.urandom(3 << 20)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    async with asyncio.timeout(20):
        await api.http.post("/jobs", files={"file": ("x.wav", sent)})  # refused in the end: no audio
        answer = await api.http.post("/jobs", files={"file": ("x.wav", tone_wav(100.0))})
    assert answer.status_code == 202
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    large = [path for path in new if path.stat().st_size > 1 << 20 and not path.name.startswith("tiro.db")]
    assert [path.read_bytes() == tone_wav(100.0) for path in large] == [True]
