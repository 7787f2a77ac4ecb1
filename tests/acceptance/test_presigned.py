"""Is a link that somebody signed for one GET enough? The recording comes; the link itself is nowhere to be found afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import Site
from tests.acceptance.traces import post_url, traces
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server
from tiro.adapters.storage.s3 import S3Options, connect

NAME = "the-smiths-divorce.wav"
SECONDS = 5
_REQUEST = re.compile(rb"^([A-Z]+) \S+ HTTP/1\.1\r\n", re.MULTILINE)


class Tunnel:
    """A way to the S3 server on a port of its own; `methods`: what was asked on it."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._said = b""
        self.port = 0

    @property
    def methods(self) -> list[str]:
        return [method.decode() for method in _REQUEST.findall(self._said)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Tunnel]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        async with server:
            yield self

    async def _join(self, theirs: asyncio.StreamReader, to_them: asyncio.StreamWriter) -> None:
        ours, to_us = await asyncio.open_connection(self._target.hostname, self._target.port)
        await asyncio.gather(self._pass_on(theirs, to_us, listen=True), self._pass_on(ours, to_them))

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, listen: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65_536):
                self._said += piece if listen else b""
                target.write(piece)
                await target.drain()
        target.close()


@pytest.fixture
async def tunnel(s3_server: S3Server) -> AsyncIterator[Tunnel]:
    async with Tunnel(s3_server.endpoint).running() as tunnel:
        yield tunnel


@pytest.fixture
def link(s3_server: S3Server, s3_bucket: str, tunnel: Tunnel) -> str:
    """A presigned link to a recording, through the tunnel."""
    client = connect(s3_server.options)
    client.put_object(Bucket=s3_bucket, Key=NAME, Body=wav(numbered(SECONDS)))
    client.close()
    return signed(s3_server.options, tunnel, s3_bucket, 600)


def signed(options: S3Options, tunnel: Tunnel, bucket: str, lives_s: int) -> str:
    client = connect(msgspec.structs.replace(options, endpoint=f"http://127.0.0.1:{tunnel.port}"))
    try:
        return client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": NAME}, ExpiresIn=lives_s)
    finally:
        client.close()


@pytest.mark.promise("J41")
async def test_a_presigned_link_is_fetched_by_get_alone_and_is_nowhere_afterwards(
    make_site: SiteMaker, tunnel: Tunnel, link: str
) -> None:
    """Neither its signature nor its name in histories, logs and rows; HEAD would not fit the signature."""
    site = await make_site(TIRO_LOG="debug")
    await site.working()
    _, address = await site.serving()
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.head(link)).status_code == 403
    asked = len(tunnel.methods)
    job_id = await post_url(site, address, link)
    await site.ended(job_id)
    assert tunnel.methods[asked:] == ["GET"]
    await _nowhere(site, job_id, link)
    await site.audit(job_id, seconds=SECONDS)


@pytest.mark.parametrize("wrong", ["expired", "forged"])
@pytest.mark.promise("J41")
async def test_a_link_that_opens_nothing_fails_the_job_with_the_upstreams_status(
    make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, tunnel: Tunnel, link: str, wrong: str
) -> None:
    """Past its hour, or with another signature: source_unavailable, the store's 403, nothing charged, and no word of the link."""
    site = await make_site(TIRO_LOG="debug")
    if wrong == "expired":
        link = signed(s3_server.options, tunnel, s3_bucket, 1)
        await site.until(lambda: _refuses(link), "the link has expired")
    else:
        link = link.replace(_signature(link), _signature(link)[::-1])
    await site.working()
    _, address = await site.serving()
    job_id = await post_url(site, address, link)
    job = await site.ended(job_id, "failed")
    assert (job.error_code, job.error_reason, job.error_extras["upstream_status"]) == (
        "source_unavailable", "http_status", 403,
    )  # fmt: skip
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
        answer = await http.get(f"/jobs/{job_id}/transcript", headers={"Authorization": f"Bearer {site.key}"})
    told = answer.json()
    assert (answer.status_code, told["error"], told["reason"]) == (422, "source_unavailable", "http_status")
    assert told["upstream_status"] == 403
    await _nowhere(site, job_id, link)
    await site.audit(job_id)


def _signature(link: str) -> str:
    return parse_qs(urlsplit(link).query)["X-Amz-Signature"][0]


async def _refuses(link: str) -> bool:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return (await http.get(link)).status_code == 403


async def _nowhere(site: Site, job_id: str, link: str) -> None:
    """As it stands, by its signature, and by the name in it."""
    assert await traces(site, [job_id], [link, _signature(link), NAME]) == set()
