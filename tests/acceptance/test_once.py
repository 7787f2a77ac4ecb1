"""Is a repeated submission one job, when the API dies that took the first, and do real processes share what they count?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.acceptance.site import Site
from tests.media_builder import numbered, wav

KEY = "interview 7"
RECORDING = wav(numbered(4))


@pytest.mark.promise("J48")
async def test_a_submission_is_repeated_at_the_next_api_when_one_is_killed(site: Site) -> None:
    """Killed while the recording comes in, nothing was carried out; killed after the answer, the answer is given again."""
    first, address = await site.serving()
    async with _half(site, address):
        first.kill()
    second, address = await site.serving()
    taken = await _whole(site, address)
    assert (taken.status_code, taken.headers.get("idempotent-replayed")) == (202, None)
    second.kill()
    again = await _whole(site, (await site.serving())[1])
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (202, taken.content, "true")
    async with site.house.records.begin() as tx:
        jobs = await tx.jobs.page(site.account.account_id)
        kept = await tx.ledger.entries(site.account.account_id)
    assert [job.job_id for job in jobs] == [taken.json()["job_id"]]
    assert [(entry.kind, entry.included_s) for entry in kept] == [("hold", 4)]


@pytest.mark.promise("J39")
async def test_two_apis_share_the_cap_that_the_operator_sets(site: Site) -> None:
    """TIRO_SUBMISSIONS_PER_S: the one refuses for what the other took."""
    addresses = [(await site.serving(TIRO_SUBMISSIONS_PER_S="1"))[1] for _ in range(2)]
    refusing: set[str] = set()

    async def both_have_refused() -> bool:
        answers = await asyncio.gather(*(_whole(site, address) for address in addresses * 3))
        assert {answer.status_code for answer in answers} <= {202, 429}
        assert {one.headers["retry-after"] for one in answers if one.status_code == 429} <= {"1"}
        refusing.update(str(one.url) for one in answers if one.status_code == 429)
        return len(refusing) == 2

    await site.until(both_have_refused, "both refuse")


async def _whole(site: Site, address: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {site.key}", "Idempotency-Key": KEY}
    async with httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False) as http:
        return await http.post("/jobs", headers=headers, files={"file": ("a.wav", RECORDING)})


@contextlib.asynccontextmanager
async def _half(site: Site, address: str) -> AsyncIterator[None]:
    """The API has opened the upload; the rest never comes."""
    place = urlsplit(address)
    _, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (
        f"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(RECORDING) + 999}\r\nIdempotency-Key: {KEY}\r\n"
        f"Authorization: Bearer {site.key}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    writer.write(head.encode() + RECORDING[: len(RECORDING) // 2])
    await writer.drain()

    async def begun() -> bool:
        async with site.house.records.begin() as tx:
            return bool(await tx.jobs.stale_uploads(site.house.clock.now()))

    await site.until(begun, "the upload has begun")
    yield
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
