"""What does whoever has a link of ours come to know and do? As much as it says, until its time, and nothing by halves."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta

import httpx2
import pytest

from api.config import RequestLimits
from commands.logs import redacted
from tests.servers.api import PUBLIC_URL, Api, ApiMaker
from tests.servers.databases import SteppedClock
from tiro.model.blob import source_key
from tiro.model.errors import Conflict
from tiro.model.job import Job
from tiro.model.request import AwaitedSource, JobOptions, JobRequest, UploadedSource
from tiro.model.upload import PUT_BELOW_BYTES, PartsInstructions, PutInstructions, parts_of
from tiro.sign.passes import Pass, moment

MIB = 1 << 20


class Bringer:
    """A client with links and without a key."""

    def __init__(self, api: Api) -> None:
        self.api, self.house = api, api.house
        self.http = httpx2.AsyncClient(timeout=30, trust_env=False)

    def at(self, url: str) -> str:
        return url.replace(PUBLIC_URL, self.api.url)

    async def opened(self, size_bytes: int | None = None, media_type: str | None = None) -> tuple[Job, PutInstructions]:
        job, told = await self.house.uploads.open_single(self.wish(AwaitedSource(size_bytes, media_type)))
        assert isinstance(told, PutInstructions)
        return job, PutInstructions(told.key, self.at(told.url), told.headers)

    async def opened_parts(self, size_bytes: int = PUT_BELOW_BYTES) -> tuple[Job, PartsInstructions]:
        job, told = await self.house.uploads.open_single(self.wish(AwaitedSource(size_bytes)))
        assert isinstance(told, PartsInstructions)
        return job, told

    def wish(self, source: AwaitedSource | UploadedSource, job_id: str | None = None) -> JobRequest:
        return JobRequest(
            job_id=job_id or self.house.intake.new_job_id(),
            account_id=self.api.account.account_id,
            dialect="jobs",
            options=JobOptions(language="en"),
            source=source,
        )

    async def put(self, url: str, data: bytes, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return await self.http.put(self.at(url), content=data, headers=headers)

    def names(self) -> list[str]:
        return [info.key for info in self.house.blobs.list("")]


Bringing = Callable[[Api], Bringer]


@pytest.fixture
async def bringing() -> AsyncIterator[Bringing]:
    """Makes clients of servers."""
    async with contextlib.AsyncExitStack() as stack:

        def make(api: Api) -> Bringer:
            made = Bringer(api)
            stack.push_async_callback(made.http.aclose)
            return made

        yield make


@pytest.fixture
async def bringer(api: Api, bringing: Bringing) -> Bringer:
    return bringing(api)


def completing(etags: Mapping[int, str]) -> bytes:
    """As the published client writes it: ETags as they came, no declaration, no namespace."""
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in etags.items())
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


async def eventually_empty(api: Api) -> None:
    """Nothing is stored, and nothing unfinished lies about."""
    root = api.house.blobs._root  # type: ignore[attr-defined]  # the folder itself is the question
    async with asyncio.timeout(10):
        while [path for path in root.rglob("*") if path.is_file()]:
            await asyncio.sleep(0.02)


async def broken_off(api: Api, url: str, announced: int, sent: bytes) -> None:
    """A client that dies in the middle of a PUT."""
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    path = url.replace(PUBLIC_URL, "").replace(api.url, "")
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n".encode() + sent)
    await writer.drain()
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_client_that_dies_in_the_middle_leaves_nothing(bringer: Bringer) -> None:
    """Neither an object nor a rest of one."""
    _, told = await bringer.opened()
    await broken_off(bringer.api, told.url, 2 * MIB, b"x" * MIB)
    await eventually_empty(bringer.api)


@pytest.mark.promise("T22")
async def test_an_upload_that_was_killed_in_a_part_goes_on_where_it_was(bringer: Bringer) -> None:
    """Only what is missing is brought again; the bytes are the same in the end."""
    data = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() * (MIB // 32) for n in range(128)) + b"end"
    job, told = await bringer.opened_parts(len(data))
    pieces = {n: data[(n - 1) * told.part_bytes : n * told.part_bytes] for n in parts_of(len(data))}
    assert [part.number for part in told.parts] == list(pieces)
    etags = {}
    for part in told.parts[:20]:
        etags[part.number] = (await bringer.put(part.url, pieces[part.number])).headers["etag"]
    await broken_off(bringer.api, told.parts[20].url, told.part_bytes, pieces[21][:MIB])
    rest = await bringer.house.uploads.resume(job.job_id, told.key, told.upload_id, job.account_id)
    assert isinstance(rest, PartsInstructions)
    assert [part.number for part in rest.parts] == list(range(21, len(pieces) + 1))
    assert {n: f'"{part.etag}"' for n, part in rest.present.items()} == etags
    for part in rest.parts:
        etags[part.number] = (await bringer.put(part.url, pieces[part.number])).headers["etag"]
    assert (await bringer.http.post(bringer.at(rest.complete_url), content=completing(etags))).status_code == 200
    arrived = await bringer.house.uploads.arrived(job.job_id)
    assert (arrived.awaiting, bringer.names()) == (False, [told.key])
    assert hashlib.sha256(bringer.house.blobs.get(told.key)).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("sent", [b"soun", b"sounds", b""])
async def test_a_body_without_a_length_is_measured_as_it_comes(bringer: Bringer, sent: bytes) -> None:
    """A chunked body of another size than was declared is stored no more than one that says so."""
    _, told = await bringer.opened(size_bytes=5)

    async def chunked() -> object:
        for at in range(len(sent)):
            yield sent[at : at + 1]

    answer = await bringer.http.put(told.url, content=chunked())  # type: ignore[arg-type]  # an async generator is taken
    assert (answer.status_code, answer.json()["code"]) in {(400, "upload_size_mismatch"), (413, "file_too_large")}
    await eventually_empty(bringer.api)


async def test_where_no_size_was_declared_there_is_a_cap(bringer: Bringer) -> None:
    """Said before the body is read where it can be, and nothing is stored."""
    job, _ = await bringer.opened()
    until = moment(bringer.house.clock.now() + timedelta(hours=1))
    url = bringer.house.passes.url(Pass(deed="put", subject=source_key(job.job_id), until=until, at_most_bytes=10))
    for data in (b"x" * 11, b"x" * MIB):
        answer = await bringer.put(url, data)
        assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    await eventually_empty(bringer.api)
    assert (await bringer.put(url, b"x" * 10)).status_code == 200


async def test_a_link_ends_with_its_hour(make_api: ApiMaker, bringing: Bringing) -> None:
    """Then it says so, flat, and nothing is stored."""
    clock = SteppedClock()
    bringer = bringing(await make_api(clock=clock))
    _, told = await bringer.opened()
    clock.step(3600 - 1)
    assert (await bringer.put(told.url, b"sound")).status_code == 200
    clock.step(2)
    answer = await bringer.put(told.url, b"other")
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "This link has expired; ask for a new one.", "code": "link_expired"},
    )
    assert bringer.house.blobs.get(told.key) == b"sound"


async def test_a_link_does_one_thing(bringer: Bringer) -> None:
    """Other methods are told which."""
    _, whole = await bringer.opened()
    _, parts = await bringer.opened_parts()
    links = {whole.url: "PUT", parts.parts[0].url: "PUT", parts.complete_url: "POST", parts.abort_url: "DELETE"}
    links[bringer.house.passes.result_url("job_1", bringer.house.clock.now())] = "GET"
    for url, own in links.items():
        for method in {"GET", "PUT", "POST", "DELETE"} - {own}:
            answer = await bringer.http.request(method, bringer.at(url))
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert own in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/files/x", "/files/" + "A" * 300, "/files", "/files/a/b", "/files/%00"])
async def test_a_link_that_is_none_is_refused_in_the_same_shape(bringer: Bringer, path: str) -> None:
    """`error` and `code`, flat."""
    answer = await bringer.put(bringer.api.url + path, b"x")
    assert (answer.status_code, set(answer.json())) in [(403, {"error", "code"}), (404, {"error", "code"})]


async def test_every_process_takes_the_links_of_every_other(
    make_api: ApiMaker, bringer: Bringer, bringing: Bringing
) -> None:
    """They share a secret, a database and a store, and nothing else."""
    first = bringer.api
    root = first.house.blobs._root  # type: ignore[attr-defined]  # where the other process finds what this one stores
    shared = {"TIRO_BLOBS": root.as_uri(), "TIRO_DATABASE_URL": f"sqlite:///{root.parent / 'tiro.db'}"}
    second = bringing(await make_api(environ=shared))
    _, told = await bringer.opened_parts()
    etag = (await second.put(told.parts[0].url, b"x")).headers["etag"]
    done = await second.http.post(second.at(told.complete_url), content=completing({1: etag}))
    assert (done.status_code, first.house.blobs.get(told.key)) == (200, b"x")


async def test_no_link_is_in_the_log(
    bringer: Bringer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of what succeeds, is refused, or breaks inside."""
    caplog.set_level(logging.DEBUG)
    _, told = await bringer.opened(size_bytes=5)
    await bringer.put(told.url, b"sound")
    await bringer.put(told.url, b"sounds")

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(bringer.house.blobs, "writer", broken)
    assert (await bringer.put(told.url, b"sound")).status_code == 500
    said = redacted("\n".join(record.getMessage() for record in caplog.records))
    assert "unexpected RuntimeError" in said
    assert told.url.rpartition("/")[2] not in said


async def test_an_upload_in_parts_over_http(bringer: Bringer) -> None:
    """Completing twice succeeds twice, also when its job has arrived meanwhile; so does aborting."""
    job, told = await bringer.opened_parts(PUT_BELOW_BYTES)
    etags = {}
    for part in told.parts:
        etags[part.number] = (await bringer.put(part.url, b"x" * told.part_bytes)).headers["etag"]
    complete, abort = bringer.at(told.complete_url), bringer.at(told.abort_url)
    for wrong in ({1: "None"}, {1: "null"}, {1: '"0"'}, {}):
        answer = await bringer.http.post(complete, content=completing(wrong))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_upload")
    too_much = await bringer.http.post(complete, content=b" " * (MIB + 1))
    assert (too_much.status_code, too_much.json()["code"]) == (413, "request_too_large")
    for _ in range(2):
        assert (await bringer.http.post(complete, content=completing(etags))).status_code == 200
    await bringer.house.uploads.arrived(job.job_id)
    assert (await bringer.http.post(complete, content=completing(etags))).status_code == 200
    for _ in range(2):
        assert (await bringer.http.delete(abort)).status_code == 204
    assert bringer.names() == [told.key]


async def test_nothing_takes_the_place_of_a_recording_that_has_arrived(bringer: Bringer) -> None:
    """It is being heard already. The link lives on for a while; it brings nothing."""
    job, told = await bringer.opened()
    await bringer.put(told.url, b"sound")
    await bringer.house.uploads.arrived(job.job_id)
    answer = await bringer.put(told.url, b"other")
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_job_status")
    assert bringer.house.blobs.get(told.key) == b"sound"
    with pytest.raises(Conflict):
        await bringer.house.uploads.resume(job.job_id, told.key, None)


async def test_a_page_of_any_origin_may_bring_bytes(bringer: Bringer) -> None:
    """A browser asks first, and may read the ETag."""
    _, told = await bringer.opened()
    asks = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
    preflight = await bringer.http.options(told.url, headers=asks)
    assert preflight.status_code == 204
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    answer = await bringer.put(told.url, b"sound", {"Origin": "https://page.example", "Content-Type": "audio/wav"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_a_client_that_stops_sending_is_not_waited_for(make_api: ApiMaker, bringing: Bringing) -> None:
    """As everywhere: too little in too long a time is the end, and leaves nothing."""
    bringer = bringing(await make_api(limits=RequestLimits(window_s=0.3, window_bytes=1000)))
    _, told = await bringer.opened()
    head = f"PUT {told.url.removeprefix(bringer.api.url)} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome"
    answer = await bringer.api.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 408 ")
    await eventually_empty(bringer.api)
