"""What does it cost a real API process that clients bring much by links? Memory stays where it was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from tests.acceptance.site import Site
from tests.hostile.requests.tree import pss_bytes, weighing
from tiro.model.request import AwaitedSource, JobOptions, JobRequest
from tiro.model.upload import PartsInstructions, PutInstructions

MIB = 1 << 20
ROOM_MIB = 48
LARGE = 300
BLOCK = bytes(MIB)


async def test_what_is_brought_by_links_is_nowhere_but_in_the_store(site: Site) -> None:
    """300 MiB in one piece, and parts that are put together."""
    child, address = await site.serving()
    async with httpx2.AsyncClient(timeout=120, trust_env=False) as http:

        async def put(url: str, mebibytes: int) -> str:
            async def sent() -> AsyncIterator[bytes]:
                for _ in range(mebibytes):
                    yield BLOCK

            answer = await http.put(reached(url), content=sent())
            assert answer.status_code == 200, answer.text
            return str(answer.headers["etag"])

        def reached(url: str) -> str:
            return address + url[url.index("/files/") :]

        first, whole, parts = await _opened(site), await _opened(site), await _opened(site, LARGE * MIB)
        assert isinstance(first, PutInstructions)
        assert isinstance(whole, PutInstructions)
        assert isinstance(parts, PartsInstructions)
        await put(first.url, 1)
        before = pss_bytes(child.pid)
        with weighing(child.pid) as weighed:
            await put(whole.url, LARGE)
            etags = [(part.number, await put(part.url, parts.part_bytes // MIB)) for part in parts.parts]
            done = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in etags)
            xml = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>"
            assert (await http.post(reached(parts.complete_url), content=xml)).status_code == 200
    for key in (whole.key, parts.key):
        stored = site.house.blobs.head(key)
        assert stored is not None
        assert stored.size_bytes == LARGE * MIB
    assert (weighed.peak_bytes - before) / MIB < ROOM_MIB


async def _opened(site: Site, size_bytes: int | None = None) -> PutInstructions | PartsInstructions:
    wish = JobRequest(
        job_id=site.house.intake.new_job_id(),
        account_id=site.account.account_id,
        dialect="jobs",
        options=JobOptions(language="en"),
        source=AwaitedSource(size_bytes),
    )
    _, told = await site.house.uploads.open_single(wish)
    return told
