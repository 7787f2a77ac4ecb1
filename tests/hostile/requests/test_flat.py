"""What all of it costs a real API process and the worker beside it: memory stays where it was, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.acceptance.site import Site
from tests.hostile.requests.bodies import BROKEN_FORMS, DEEP, FORM, HEAD, NO_JSON, TAIL, field
from tests.hostile.requests.sending import posted, request_head
from tests.hostile.requests.tree import connections, open_files, pss_bytes, weighing, zombies
from tests.servers.audio import tone_wav

Note = Callable[[str], None]
MIB = 1 << 20
ROOM_MIB = 64
AT_ONCE = 24
BLOCK = bytes(MIB)


@pytest.mark.hostile_input(
    28, "a text of 600 MB, a file of 200 MB, and all of 28 to 34 at once", "64 MiB, nothing left"
)
async def test_the_requests_of_strangers_leave_a_server_as_it_was(site: Site, seen: Note) -> None:
    """Two dozen of each kind at a time, while a hundred have begun and say no more; and it still answers."""
    child, address = await site.serving()
    worker = await site.working()
    async with httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False) as http:
        taken = await _warmed(http, site.key)

        async def heard() -> bool:
            return all([(await site.job(job_id)).ended for job_id in taken])

        await site.until(heard, "the first jobs are over")
        before, idle = pss_bytes(child.pid), pss_bytes(worker.pid)
        files, opened = _files(site.folder), open_files(child.pid)
        async with _waiting(address, site.key):
            with weighing(child.pid) as weighed, weighing(worker.pid) as worked:
                statuses = {*await _bodies(http), *await _masses(address, site.key)}
        assert (await http.get("/health")).status_code == 200
        grown_mib = [(weighed.peak_bytes - before) / MIB, (worked.peak_bytes - idle) / MIB]
        seen(
            f"API {before / MIB:.0f} MiB {grown_mib[0]:+.0f}, worker {idle / MIB:.0f} MiB {grown_mib[1]:+.0f}; "
            f"{', '.join(map(str, sorted(statuses)))}"
        )
    assert statuses == {400, 401, 413}
    assert max(grown_mib) < ROOM_MIB
    assert zombies(child.pid) + zombies(worker.pid) == []
    assert _files(site.folder) == files

    async def closed() -> bool:
        return connections(urlsplit(address).port or 0) == 0

    await site.until(closed, "connections are closed", within_s=60)
    assert open_files(child.pid) == opened
    assert "Traceback" not in child.text


async def _warmed(http: httpx2.AsyncClient, key: str) -> list[str]:
    """What is loaded at the first request of a kind is loaded. The jobs that were taken."""
    http.headers["Authorization"] = f"Bearer {key}"
    taken = []
    for _ in range(2):
        accepted = await http.post("/jobs", files={"file": ("a.wav", tone_wav(1.0))})
        assert accepted.status_code == 202
        taken.append(accepted.json()["job_id"])
        assert (await http.post("/jobs", files={"file": ("a.wav", b"<html>" * 99)})).status_code == 415
        assert (await http.post("/jobs", json={})).status_code == 400
        assert (await http.get("/openapi.json")).status_code == 200
    return taken


async def _bodies(http: httpx2.AsyncClient) -> list[int]:
    """Each body that is no JSON and no form, and JSON that is as large as it may be."""
    full = {
        "numbers": b'{"x":[' + b"0," * 130_000 + b"0]}",
        "objects": b'{"x":[' + b"{}," * 87_000 + b"{}]}",
        "names": b"{" + b",".join(b'"%d":0' % n for n in range(24_000)) + b"}",
        "text": b'{"x":"' + b"\\u00e4" * 43_000 + b'"}',
    }
    json = [(body, "application/json") for body in (*DEEP.values(), *NO_JSON.values(), *full.values())]
    forms = [(body, FORM) for body in BROKEN_FORMS.values()]
    statuses = []
    for body, kind in (*json, *forms):
        posts = [http.post("/jobs", content=body, headers={"Content-Type": kind}) for _ in range(AT_ONCE)]
        statuses += [answer.status_code for answer in await asyncio.gather(*posts)]
    return statuses


async def _masses(address: str, key: str) -> list[int]:
    """More than any memory should hold."""

    def mebibytes(head: bytes, many: int, tail: bytes = TAIL) -> Iterator[bytes]:
        yield head
        for _ in range(many):
            yield BLOCK
        yield tail

    sent = [
        _posted(address, key, mebibytes(field("language", b""), 600)),
        _posted(address, key, mebibytes(HEAD, 200, b"")),
        _posted(address, key, mebibytes(b'{"x":"', 100, b'"}'), "application/json"),
        _posted(address, key, mebibytes(b"--b\r\nX: ", 100)),
        _posted(address, "tsk_live_nobody", mebibytes(HEAD, 100)),
    ]
    return await asyncio.gather(*sent)


async def _posted(address: str, key: str, body: Iterator[bytes], kind: str = FORM) -> int:
    return (await asyncio.to_thread(posted, address, key, body, None, kind))[0]


@contextlib.asynccontextmanager
async def _waiting(address: str, key: str) -> AsyncIterator[None]:
    """Many that have begun something, and say no more."""
    port = urlsplit(address).port
    begun = [b"", b"GET /jobs HTTP/1.1\r\nX: ", request_head(key, length=10**9) + HEAD, request_head(key)]
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(25) for _ in begun]
    for number, (_, writer) in enumerate(opened):
        writer.write(begun[number % len(begun)])
    try:
        yield
    finally:
        for _, writer in opened:
            writer.transport.abort()


def _files(folder: Path) -> set[str]:
    """What lies in the scratch, in the store and beside them; without the logs."""
    return {str(path) for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"}
