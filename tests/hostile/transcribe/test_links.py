"""Links as strangers have them: forged, swapped, stale; or their own, with bodies and headers that no client sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.config import RequestLimits
from api.server import PatientProtocol
from tests.dialects.transcribe.asking import big_file, completed, created
from tests.dialects.transcribe.calling import funded
from tests.hostile.requests.sending import dripped, status_of
from tests.servers.api import PUBLIC_URL, Api, ApiMaker
from tiro.model.blob import source_key
from tiro.model.upload import PUT_BELOW_BYTES
from tiro.sign.passes import PREFIX, Pass, Passes, moment

pytestmark = pytest.mark.asyncio(loop_scope="module")

Note = Callable[[str], None]
MIB = 1 << 20
OPEN = b"<CompleteMultipartUpload>"
CLOSE = b"</CompleteMultipartUpload>"


def hostile(number: int, what: str, value: object, expected: str) -> Any:
    return pytest.param(value, marks=pytest.mark.hostile_input(number, f"links: {what}", expected), id=what)


async def whole(api: Api, **fields: Any) -> tuple[str, str]:
    """A job that awaits its bytes in one piece, and the path of its link."""
    told = await big_file(api, **{"content_type": None, "size_bytes": 5, **fields})
    return told["job_id"], _path(told["uploads"][0]["upload"]["url"])


async def in_parts(api: Api) -> tuple[str, dict[str, str]]:
    """A job that awaits parts, and the paths of its links."""
    told = await big_file(api, size_bytes=PUT_BELOW_BYTES + 1)
    upload = told["uploads"][0]["upload"]
    return told["job_id"], {
        "part": _path(upload["parts"][0]["url"]),
        "complete": _path(upload["complete_url"]),
        "abort": _path(upload["abort_url"]),
    }


async def heard(api: Api) -> tuple[str, str]:
    """A completed job, and the path of its result's link."""
    source = {"type": "url", "url": "https://93.184.215.14/a.mp3"}
    job_id = str((await created(api, {"type": "big_file", "source": source}))["job_id"])
    await api.complete(job_id)
    return job_id, _path((await api.http.get(f"/v1/transcribe/{job_id}")).json()["result_url"])


def _path(url: str) -> str:
    assert url.startswith(f"{PUBLIC_URL}{PREFIX}/")
    return url.removeprefix(PUBLIC_URL)


def _raw(path: str) -> bytes:
    token = path.rpartition("/")[2]
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def _link(raw: bytes) -> str:
    return f"{PREFIX}/{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def _said(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def _kept(api: Api) -> dict[str, int]:
    """What lies in the store."""
    return {info.key: info.size_bytes for info in api.house.blobs.list("jobs/")}


@pytest.mark.hostile_input(30, "links: a signature over another link's words, cut, with more behind it", "403")
async def test_a_link_is_whole_or_none(lasting: Api, seen: Note) -> None:
    """The head of one before the body of another, of every two kinds; and each cut in its middle."""
    _, put = await whole(lasting)
    _, links = await in_parts(lasting)
    _, read = await heard(lasting)
    raws = [_raw(path) for path in (put, read, *links.values())]
    forged = [one[:32] + other[32:] for one in raws for other in raws if one != other]
    forged += [raw[:at] for raw in raws for at in (16, 32, len(raw) - 1)] + [raw + b"\0" for raw in raws]
    before = _kept(lasting)
    for raw in forged:
        # of a link that is read at all another method would be told
        assert _said(await lasting.http.get(_link(raw))) == (403, "invalid_link")
    seen(f"403, {len(forged)} of them")
    assert _kept(lasting) == before


@pytest.mark.hostile_input(30, "links: one of a kind where another is meant", "405, nothing done")
async def test_a_link_of_one_kind_is_none_of_another(lasting: Api, seen: Note) -> None:
    """What brings bytes reads none, and what reads a result brings, completes and forgets nothing."""
    job_id, put = await whole(lasting)
    assert (await lasting.http.put(put, content=b"bytes")).status_code == 200
    _, read = await heard(lasting)
    _, parts = await in_parts(lasting)
    own = {put: "PUT", read: "GET", parts["part"]: "PUT", parts["complete"]: "POST", parts["abort"]: "DELETE"}
    for path, method in own.items():
        for other in {"GET", "PUT", "POST", "DELETE"} - {method}:
            answer = await lasting.http.request(other, path, content=None if other == "GET" else b"other")
            assert _said(answer) == (405, "method_not_allowed")
    seen("405")
    assert await asyncio.to_thread(lasting.house.blobs.get, source_key(job_id)) == b"bytes"


@pytest.mark.hostile_input(30, "links: of a deleted job, of one that was given up", "404 or 409, nothing stored")
async def test_links_end_with_their_job(lasting: Api, seen: Note) -> None:
    """Deleted while it was awaited, and after it was heard."""
    waiting, put = await whole(lasting)
    parting, parts = await in_parts(lasting)
    ended, read = await heard(lasting)
    for job_id in (waiting, parting, ended):
        assert (await lasting.http.delete(f"/v1/transcribe/{job_id}")).status_code in {200, 204}
    statuses = [
        (await lasting.http.put(put, content=b"later")).status_code,
        (await lasting.http.put(parts["part"], content=b"later")).status_code,
        (await lasting.http.post(parts["complete"], content=_parts({1: "x"}))).status_code,
        (await lasting.http.get(read)).status_code,
    ]
    seen(", ".join(map(str, statuses)))
    assert statuses == [409, 409, 409, 404]
    assert (await lasting.http.delete(parts["abort"])).status_code == 204
    assert not [key for key in _kept(lasting) if waiting in key or parting in key]


@pytest.mark.hostile_input(30, "links: signed by the right key for a place that is no job's", "404; NUL 400")
@pytest.mark.parametrize("subject", ["", "manifest", "jobs/", "jobs/../x", "jobs/job_x/../../y", "/etc/passwd", "a\0b"])
async def test_even_a_signed_link_writes_where_a_job_awaits_it_and_nowhere_else(
    lasting: Api, seen: Note, subject: str
) -> None:
    """We never sign one; were one signed, by an older release say, it would open nothing."""
    before = _kept(lasting)
    until = moment(lasting.house.clock.now() + timedelta(hours=1))
    passes: Passes = lasting.house.passes
    codes = set()
    for deed, method in (("put", "PUT"), ("part", "PUT"), ("complete", "POST"), ("read", "GET")):
        allowed = Pass(deed=deed, subject=subject, until=until, upload_id="u", number=1, at_most_bytes=9)  # type: ignore[arg-type]
        content = {"PUT": b"x", "POST": _parts({1: "x"}), "GET": None}[method]
        answer = await lasting.http.request(method, _path(passes.url(allowed)), content=content)
        codes.add(_said(answer))
    seen(str(codes))
    assert codes <= {(404, "not_found"), (400, "invalid_request")}
    assert _kept(lasting) == before


def _parts(etags: dict[int, str]) -> bytes:
    inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in etags.items())
    return OPEN + inner.encode() + CLOSE


_LAUGHS = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(9))
XML = {
    "a billion laughs": b'<!DOCTYPE x [<!ENTITY a0 "ha">' + _LAUGHS + b"]>" + OPEN + b"&a9;" + CLOSE,
    "a quadratic blow-up": b'<!DOCTYPE x [<!ENTITY a "' + b"x" * 50_000 + b'">]>' + OPEN + b"&a;" * 50_000 + CLOSE,
    "an entity that is a file": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + OPEN + b"&e;" + CLOSE,
    "an entity that is an address": b'<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:1/">]>' + OPEN + b"&e;" + CLOSE,
    "a DTD elsewhere": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + OPEN + CLOSE,
    "parameter entities": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>' + OPEN + CLOSE,
    "a stylesheet": b'<?xml-stylesheet href="file:///etc/passwd"?>' + OPEN + CLOSE,
    "an inclusion": OPEN + b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>' + CLOSE,
    "300,000 levels": b"<a>" * 300_000,
    "200,000 elements": OPEN + b"<a/>" * 200_000 + CLOSE,
    "90,000 attributes": OPEN[:-1] + b"".join(b' a%d=""' % n for n in range(90_000)) + b"/>",
    "10,001 parts": _parts(dict.fromkeys(range(1, 10002), "x")),
    "an ETag of a megabyte": _parts({1: "e" * (MIB - 200)}),
    "an ETag with a line feed": _parts({1: "a&#10;b"}),
    "a part number of 900,000 digits": OPEN + b"<Part><PartNumber>" + b"1" * 900_000 + b"</PartNumber></Part>" + CLOSE,
    "an Arabic part number": OPEN + "<Part><PartNumber>\u0661</PartNumber><ETag>x</ETag></Part>".encode() + CLOSE,
    "UTF-16 that is none": b"\xff\xfe" + OPEN,
    "UTF-7": b'<?xml version="1.0" encoding="utf-7"?>' + _parts({1: "x"}),
    "a NUL": OPEN + b"\0" + CLOSE,
    "JSON": b'{"parts": []}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", [hostile(30, what, body, "400 invalid_upload") for what, body in XML.items()])
async def test_xml_that_would_be_more_than_parts_is_refused(lasting: Api, seen: Note, body: bytes) -> None:
    """Nothing is opened, nothing grows, and the upload is open as before."""
    _, links = await in_parts(lasting)
    answer = await lasting.http.post(links["complete"], content=body)
    seen("{} {}".format(*_said(answer)))
    assert _said(answer) == (400, "invalid_upload")
    assert "root:" not in answer.text
    assert (await lasting.http.put(links["part"], content=b"x")).status_code == 200


RANGES = {
    "several": "bytes=0-1,3-4",
    "a thousand of one byte": "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
    "overlapping ones": "bytes=" + ",".join(["0-"] * 1300),
    "backwards": "bytes=5-2",
    "18 digits": "bytes=" + "9" * 18 + "-",
    "400 digits": "bytes=" + "9" * 400 + "-",
    "to 18 digits": "bytes=0-" + "9" * 18,
    "the last 18 digits": "bytes=-" + "9" * 18,
    "the last none": "bytes=-0",
    "negative": "bytes=--5",
    "another unit": "items=0-5",
    "no digits": "bytes=a-b",
    "Arabic digits": "bytes=\u0661-".encode().decode("latin-1"),
    "a space": "bytes= 0-5",
    "hexadecimal": "bytes=0x0-0x5",
    "nothing": "",
}


@pytest.mark.parametrize(
    "text", [hostile(49, f"range: {what}", text, "200, 206 or 416") for what, text in RANGES.items()]
)
async def test_an_odd_range_is_the_whole_or_what_it_says(lasting: Api, seen: Note, text: str) -> None:
    """Never more than the document, never an error of ours; and what is sent is what its headers say."""
    _, read = await heard(lasting)
    document = (await lasting.http.get(read)).content
    answer = await lasting.http.get(read, headers={b"Range": text.encode("latin-1")})
    seen(str(answer.status_code))
    assert answer.status_code in {200, 206, 416}
    if answer.status_code == 416:
        assert answer.headers["content-range"] == f"bytes */{len(document)}"
    elif answer.status_code == 200:
        assert answer.content == document
    else:
        first, last = answer.headers["content-range"].removeprefix("bytes ").partition("/")[0].split("-")
        assert answer.content == document[int(first) : int(last) + 1]


@pytest.mark.hostile_input(23, "links: a result that a browser is to show", "an attachment, of its type, private")
async def test_a_result_is_never_shown_as_a_page(lasting: Api, seen: Note) -> None:
    """Whatever was said in the recording."""
    _, read = await heard(lasting)
    answer = await lasting.http.get(read, headers={"Accept": "text/html"})
    kept = {name: answer.headers[name] for name in ("content-type", "x-content-type-options", "cache-control")}
    seen(", ".join(kept.values()))
    assert kept == {
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
        "cache-control": "private",
    }
    assert answer.headers["content-disposition"].startswith("attachment;")


LENGTHS = {
    "more than it says": (b"Content-Length: 3\r\n", b"sound", 400),
    "more than the link says": (b"Content-Length: 4000000000\r\n", b"sound", 413),
    "less than the link says": (b"Content-Length: 4\r\n", b"soun", 400),
    "negative": (b"Content-Length: -1\r\n", b"sound", 400),
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"sound!", 400),
    "a length and chunks": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"5\r\nsound\r\n0\r\n\r\n", 400),
    "chunks of more": (b"Transfer-Encoding: chunked\r\n", b"6\r\nsound!\r\n0\r\n\r\n", 413),
    "chunks of less": (b"Transfer-Encoding: chunked\r\n", b"4\r\nsoun\r\n0\r\n\r\n", 400),
    "a chunk whose length is none": (b"Transfer-Encoding: chunked\r\n", b"zz\r\nsound\r\n", 400),
    "compressed": (b"Content-Length: 5\r\nContent-Encoding: gzip\r\n", b"sound", 200),
}


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        pytest.param(*one, id=what, marks=pytest.mark.hostile_input(30, f"links: a body with {what}", str(one[2])))
        for what, one in LENGTHS.items()
    ],
)
async def test_a_body_that_lies_about_its_length_is_not_stored(
    lasting: Api, seen: Note, head: bytes, body: bytes, status: int
) -> None:
    """What is declared by the job, said by the request and sent must be one; bytes are taken as they are, whatever they are called."""
    job_id, put = await whole(lasting)
    request = b"PUT " + put.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n"
    answer = await lasting.raw(request + body)
    seen(str(status_of(answer)))
    assert status_of(answer) == status
    assert [size for key, size in _kept(lasting).items() if job_id in key] == ([5] if status == 200 else [])


@pytest.mark.hostile_input(30, "links: the same part by many at once", "one of them, whole")
async def test_of_bodies_for_one_place_at_once_one_is_there_whole(lasting: Api, seen: Note) -> None:
    """By one PUT or as a part: never a mixture, whoever comes last."""
    job_id, put = await whole(lasting, size_bytes=MIB)
    _, links = await in_parts(lasting)
    bodies = [bytes([n]) * MIB for n in range(8)]
    for path in (put, links["part"]):
        answers = await asyncio.gather(*(lasting.http.put(path, content=body) for body in bodies))
        assert {answer.status_code for answer in answers} == {200}
    stored = await asyncio.to_thread(lasting.house.blobs.get, source_key(job_id))
    assert stored in bodies
    digests = {hashlib.sha256(body).hexdigest() for body in bodies}
    assert hashlib.sha256(stored).hexdigest() in digests
    seen("one of eight, whole")


async def test_of_a_part_that_came_twice_only_what_its_etag_names_is_put_together(lasting: Api) -> None:
    """An ETag of what has been overwritten is refused, and can be mended."""
    job_id, links = await in_parts(lasting)
    first = (await lasting.http.put(links["part"], content=b"first")).headers["etag"]
    second = (await lasting.http.put(links["part"], content=b"second")).headers["etag"]
    assert _said(await lasting.http.post(links["complete"], content=_parts({1: first}))) == (400, "invalid_upload")
    assert (await lasting.http.post(links["complete"], content=_parts({1: second}))).status_code == 200
    assert await asyncio.to_thread(lasting.house.blobs.get, source_key(job_id)) == b"second"
    told = await completed(lasting, job_id)
    assert told.json()["status"] == "failed_upload_size_mismatch"


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("length", [20_000, None], ids=["length", "chunked"])
@pytest.mark.hostile_input(29, "links: a body of a few bytes at a time", "408, then closed, nothing stored")
async def test_a_slow_body_is_ended(
    make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch, seen: Note, length: int | None
) -> None:
    """Of a whole and of a part."""
    monkeypatch.setattr(PatientProtocol, "within_s", 0.5)
    api = await funded(await make_api(limits=RequestLimits(window_s=0.5, window_bytes=10_000)))
    _, put = await whole(api, size_bytes=20_000)
    _, links = await in_parts(api)
    size = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    drip = b"x" if length else b"1\r\nx\r\n"
    for path in (put, links["part"]):
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\n{size}\r\n\r\n".encode()
        answer = await dripped(api.port, head, drip, within_s=10)
        seen(f"{status_of(answer)}, closed")
        assert status_of(answer) == 408
        assert b'"code":"request_timeout"' in answer
    async with asyncio.timeout(10):
        while any(_kept(api).values()):
            await asyncio.sleep(0.02)
