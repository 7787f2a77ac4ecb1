"""Forms as hostile or broken clients send them: raw bytes on a socket. Nothing may stay behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hostile.requests.bodies import BROKEN_FORMS, FORM, HEAD, TAIL, field
from tests.hostile.requests.sending import posted, request_head, status_of
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav

Note = Callable[[str], None]


def hostile(what: str, value: object, expected: str = "400 invalid_request") -> Any:
    return pytest.param(value, marks=pytest.mark.hostile_input(28, what, expected), id=what)


async def nothing_stays(api: Api) -> None:
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
@pytest.mark.hostile_input(28, "a client that goes away in the middle", "nothing stays")
async def test_a_connection_that_breaks_leaves_nothing(api: Api, seen: Note, cut: int) -> None:
    body = HEAD + tone_wav(1.0) + TAIL
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request_head(api.key, length=len(body)) + body[:cut])
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()
    await nothing_stays(api)
    seen("nothing stays")


class TestOnOneServer:
    """Nothing stays, so that one server will do."""

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest.mark.parametrize("body", [hostile(what, body) for what, body in BROKEN_FORMS.items()])
    async def test_a_broken_form_is_a_400(self, lasting_api: Api, seen: Note, body: bytes) -> None:
        """At once, or after all of it: in the same words, and with nothing left."""
        answer = await lasting_api.raw(request_head(lasting_api.key, length=len(body)) + body)
        told = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
        seen(f"{status_of(answer)} {told['error']}")
        assert (status_of(answer), told["error"]) == (400, "invalid_request")
        await nothing_stays(lasting_api)

    @pytest.mark.parametrize(
        "content_type",
        [
            hostile("no boundary", "multipart/form-data"),
            hostile("an empty boundary", "multipart/form-data; boundary="),
            hostile("a boundary of 300 characters", f"multipart/form-data; boundary={'b' * 300}"),
            hostile("a boundary that is no ASCII", 'multipart/form-data; boundary="bü"'),
        ],
    )
    async def test_a_form_needs_its_boundary(self, lasting_api: Api, seen: Note, content_type: str) -> None:
        """Said before the body is read."""
        answer = await lasting_api.raw(request_head(lasting_api.key, length=1000, content_type=content_type))
        seen(str(status_of(answer)))
        assert status_of(answer) == 400
        await nothing_stays(lasting_api)

    @pytest.mark.parametrize("count", [2, 1000])
    async def test_of_a_text_that_comes_often_the_last_one_holds(self, lasting_api: Api, count: int) -> None:
        """A thousand parts are taken."""
        source = field("source_url", b"https://93.184.215.14/a") + b"\r\n"
        first = (field("language", b"xx") + b"\r\n") * (count - 2)
        body = source + first + field("language", b"de") + TAIL
        answer = await lasting_api.http.post("/jobs", content=body, headers={"Content-Type": FORM})
        job_id = answer.json()["job_id"]
        assert (answer.status_code, (await lasting_api.house.jobs.get(job_id)).options.language) == (202, "de")
        assert {(await lasting_api.http.delete(f"/jobs/{job_id}")).status_code for _ in range(2)} == {202, 204}


@pytest.mark.parametrize(
    "head",
    [
        hostile("filename* alone", HEAD.replace(b'filename="', b"filename*=UTF-8''").replace(b'"\r', b"\r"), "202"),
        hostile("filename and filename*", HEAD.replace(b"\r\n\r\n", b"; filename*=UTF-8''y.mp3\r\n\r\n"), "202"),
        hostile("filename* that is no such thing", HEAD.replace(b'filename="x.wav"', b"filename*=%%%"), "202"),
        hostile(
            "a type instead of a file name",
            HEAD.replace(b'; filename="x.wav"', b"").replace(b"\r\n\r\n", b"\r\nContent-Type: audio/wav\r\n\r\n"),
            "202",
        ),
    ],
)
async def test_a_file_is_known_by_any_spelling(api: Api, seen: Note, head: bytes) -> None:
    """Its bytes are the recording, all of them."""
    assert head != HEAD
    answer = await api.http.post("/jobs", content=head + tone_wav(1.0) + TAIL, headers={"Content-Type": FORM})
    seen(str(answer.status_code))
    assert answer.status_code == 202, answer.text
    (stored,) = api.house.blobs.list("jobs/")
    assert api.house.blobs.get(stored.key) == tone_wav(1.0)


async def test_a_chunked_form_is_taken(api: Api) -> None:
    """A client that does not know the length."""
    body = HEAD + tone_wav(1.0) + TAIL
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert status_of(await api.raw(request_head(api.key) + chunked)) == 202


@pytest.mark.promise("J19")
async def test_an_announced_size_over_the_cap_is_refused_before_the_body(make_api: ApiMaker) -> None:
    """413 file_too_large with limit_bytes, although not a byte of the body was sent."""
    api = await make_api(plan="free")
    answer = await api.raw(request_head(api.key, length=200 << 20))
    assert status_of(answer) == 413
    assert b'"error":"file_too_large"' in answer
    assert b'"limit_bytes":104857600' in answer
    await nothing_stays(api)


@pytest.mark.promise("J19")
async def test_a_client_that_sends_all_first_reads_the_refusal(make_api: ApiMaker) -> None:
    """The connection is not torn down under it."""
    api = await make_api(plan="free")
    status, body = await asyncio.to_thread(posted, api.url, api.key, bytes(101 << 20))
    assert (status, b"file_too_large" in body) == (413, True)


@pytest.mark.promise("J19")
async def test_a_chunked_file_over_the_cap_is_refused_while_it_comes(make_api: ApiMaker) -> None:
    """Counted, not believed; no more than the cap is ever stored."""
    api = await make_api(plan="free")
    pieces = iter([HEAD, *([bytes(1 << 20)] * 101), TAIL])
    status, _ = await asyncio.to_thread(posted, api.url, api.key, pieces)
    assert status == 413
    await nothing_stays(api)


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
