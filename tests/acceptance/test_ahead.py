"""Is a recording brought in while its job waits in line, before its address ends, and exactly once?"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import msgspec
import pytest

from tests.acceptance.site import Site, check_history
from tests.acceptance.traces import post_url
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit
from tiro.adapters.temporal.names import fetch_workflow_id
from tiro.model.job import Job

SECONDS = 5
CANARY = "5ea1ed"


class Link:
    """A presigned address that opens once; after that its hour is over. `goes_on`: its second half is sent."""

    def __init__(self) -> None:
        self.opened, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()
        self.expired = False

    def answer(self, visit: Visit) -> None:
        if self.expired:
            visit.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        self.expired = True
        recording = wav(numbered(SECONDS))
        half = len(recording) // 2
        visit.send(f"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: {len(recording)}\r\n\r\n".encode())
        visit.send(recording[:half])
        self.opened.set()
        while not (self.goes_on.wait(0.1) or visit.ended.is_set()):
            pass
        visit.send(recording[half:])


class Line(msgspec.Struct, frozen=True):
    """An account whose two slots are held, and one more job of it that waits with the link."""

    site: Site
    address: str
    key: str
    held: list[str]
    shop: ScriptedHttp
    gate: Path

    async def wait_with(self) -> str:
        url = self.shop.url(f"/recording?X-Amz-Signature={CANARY}")
        return await post_url(self.site, self.address, url, key=self.key)

    def asked(self) -> int:
        return len(self.shop.visits)

    async def reaches(self, job_id: str, what: str, holds: Callable[[Job], bool]) -> None:
        async def seen() -> bool:
            return holds(await self.site.job(job_id))

        await self.site.until(seen, what)

    async def fetch_ends(self, job_id: str) -> None:
        """Without a failed workflow task, and without a word of the link in its history."""
        workflow_id = fetch_workflow_id(job_id, 1)
        await self.site.closed(workflow_id)
        history = await self.site.history(workflow_id)
        check_history(history)
        assert CANARY.encode() not in b"".join(event.SerializeToString() for event in history.events)


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture
async def line(site: Site, link: Link) -> AsyncIterator[Line]:
    gate = site.folder / "gate"
    _, key = await site.member("free")
    await site.working(hold=str(gate))
    _, address = await site.serving()
    held = [await site.post(address, content=wav(numbered(2)), key=key) for _ in range(2)]
    with ScriptedHttp({"/recording": link.answer}) as shop:
        yield Line(site, address, key, held, shop, gate)


@pytest.mark.promise("J41")
async def test_a_link_that_ends_while_its_job_waits_was_opened_in_time(line: Line) -> None:
    """Fetched behind the account's full slots, once; transcribed when its turn has come."""
    site = line.site
    job_id = await line.wait_with()
    await site.until(lambda: _has_source(site, job_id), "the recording is in the store")
    waiting = await site.job(job_id)
    assert (waiting.state, waiting.admitted) == ("queued", False)
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(line.shop.url("/recording"))).status_code == 403
    line.gate.touch()
    await site.ended(job_id)
    assert line.asked() == 2
    await line.fetch_ends(job_id)
    for held in line.held:
        await site.ended(held)
    await site.delivered(job_id)
    await site.audit(job_id, seconds=SECONDS)


@pytest.mark.promise("J41")
async def test_a_slot_that_comes_in_the_middle_of_the_fetch_waits_for_it(line: Line, link: Link) -> None:
    """The link has ended for anybody else: the run neither opens it again nor fails."""
    site = line.site
    link.goes_on.clear()
    job_id = await line.wait_with()
    await site.until(lambda: _true(link.opened), "the recording is coming in")
    line.gate.touch()
    await line.reaches(job_id, "its run is at its first station", lambda job: job.stage == "fetching")
    link.goes_on.set()
    await site.ended(job_id)
    assert line.asked() == 1
    await line.fetch_ends(job_id)
    await site.delivered(job_id)
    await site.audit(job_id, seconds=SECONDS)


@pytest.mark.promise("J41")
async def test_a_link_that_opens_nothing_ends_its_job_in_line(line: Line, link: Link) -> None:
    """Its owner hears of it now, not when its turn would have come; nothing is charged."""
    site = line.site
    link.expired = True
    job_id = await line.wait_with()
    job = await site.ended(job_id, "failed")
    assert (job.error_code, job.error_reason, job.error_extras["upstream_status"]) == (
        "source_unavailable", "http_status", 403,
    )  # fmt: skip
    assert (job.started_at, job.admitted) == (None, False)
    await line.fetch_ends(job_id)
    await site.delivered(job_id)
    assert len(site.sink.of_job(job_id)) == 1
    assert await site.charges(job_id) == []
    assert not [held for held in line.held if (await site.job(held)).ended]


async def test_a_job_that_is_cancelled_in_the_middle_of_its_fetch_leaves_nothing(line: Line, link: Link) -> None:
    """The download ends with it."""
    site = line.site
    link.goes_on.clear()
    job_id = await line.wait_with()
    await site.until(lambda: _true(link.opened), "the recording is coming in")
    async with httpx2.AsyncClient(base_url=line.address, trust_env=False) as http:
        answer = await http.delete(f"/jobs/{job_id}", headers={"Authorization": f"Bearer {line.key}"})
    assert answer.is_success
    await line.fetch_ends(job_id)
    await site.ended(job_id, "cancelled")
    assert [name for name in site.objects(job_id) if not name.startswith("events/")] == []


async def _has_source(site: Site, job_id: str) -> bool:
    return "source" in site.objects(job_id)


async def _true(event: threading.Event) -> bool:
    return event.is_set()
