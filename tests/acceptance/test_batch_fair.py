"""Who waits for a batch? Nobody with a single recording, of whichever account; and two batches go on side by side.

A batch has at most 4 pages of 4 packs with the workers at once, so that 400 files are to everybody else what 10,000 are: the other 384
packs of those do not stand in any line yet. Told by the order in which tasks were given out, all of which lay there before the first was.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import httpx2
import msgspec
import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.service import RPCError

from activities.batch import PAGES_IN_FLIGHT
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.adapters.temporal import names
from tiro.model.account import Account
from tiro.model.batch import MAX_FILES, PAGE_FILES, pages_of
from tiro.model.blob import file_id, source_key
from tiro.model.pack import PACK_FILES
from worker import SPANS_IN_FLIGHT

SLOTS = 2
"""Of a worker for speech whose engine hears one window at a time."""
FULL = PAGES_IN_FLIGHT * PAGE_FILES
"""Files that fill all that a batch may have in line."""
CREDIT_MICROS = 5_000_000
LINES = {"media": ("ingest", "ingest_pack"), "speech": ("transcribe", "transcribe_pack")}
SOUND = wav(numbered(1))
Owner = tuple[Account, str]

pytestmark = pytest.mark.timeout(300)


class Work(msgspec.Struct, frozen=True):
    """A job, the workflows that do it, and how many tasks it has in each line."""

    job_id: str
    workflow_ids: tuple[str, ...]
    tasks: int


class Office:
    """An installation before whose doors work stands until somebody does it."""

    def __init__(self, site: Site, address: str) -> None:
        self.site = site
        self._address = address

    async def owner(self) -> Owner:
        account, key = await self.site.member("business")
        await self.site.house.wallets.credit(account.account_id, CREDIT_MICROS, "for the test")
        return account, key

    async def batch(self, owner: Owner, files: int) -> Work:
        """Handed in and brought."""
        body = {"type": "batch", "files": [{"reference_id": f"{n}"} for n in range(files)], "language": "en"}
        job_id = await self._brought(owner, body, [file_id("{}", index) for index in range(files)])
        pages = [names.page_workflow_id(job_id, 1, page) for page in range(pages_of(files))]
        return Work(job_id, tuple(pages), files // PACK_FILES)

    async def single(self, owner: Owner) -> Work:
        """A job for one recording, which is brought."""
        body = {"type": "big_file", "size_bytes": len(SOUND), "language": "en"}
        return _alone(await self._brought(owner, body, ["{}"]))

    async def call(self, owner: Owner) -> str:
        """What is said in a recording, by the call that waits for it."""
        async with self._caller(owner) as http:
            answer = await http.post("/v1/transcribe", files={"file": ("a.wav", SOUND)}, data={"language": "en"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["text"])

    async def called(self, owner: Owner) -> Work:
        """The job that such a call has made, as soon as it has."""
        found: list[str] = []

        async def there() -> bool:
            found.extend(job.job_id for job in await self.site.house.jobs.page(owner[0].account_id))
            return bool(found)

        await self.site.until(there, "the call has made its job")
        return _alone(found[0])

    async def other_dialect(self, owner: Owner) -> Work:
        """The same recording, as a job of the jobs dialect."""
        return _alone(await self.site.post(self._address, content=SOUND, key=owner[1], diarize="false"))

    async def stand(self, line: str, *works: Work) -> None:
        """All that these have to do there waits for a worker."""
        expected = sum(work.tasks for work in works)

        async def holds() -> bool:
            return sum([await self._waiting(one, line) for work in works for one in work.workflow_ids]) == expected

        await self.site.until(holds, f"{expected} tasks stand in the line for {line}")

    async def order(self, line: str, *works: Work) -> list[Work]:
        """Whose tasks were given out there, first to last."""
        given = [
            (at, number)
            for number, work in enumerate(works)
            for one in work.workflow_ids
            for at in await self._given(one, line)
        ]
        order = [works[number] for _, number in sorted(given)]
        assert Counter(work.job_id for work in order) == {work.job_id: work.tasks for work in works}
        return order

    async def _brought(self, owner: Owner, body: Mapping[str, object], named: list[str]) -> str:
        async with self._caller(owner) as http:
            created = await http.post("/v1/jobs", json=body)
            assert created.status_code == 200, created.text
            job_id = str(created.json()["job_id"])
            for name in named:
                await asyncio.to_thread(self.site.house.blobs.put, source_key(name.format(job_id)), SOUND, "audio/wav")
            assert (await http.post(f"/v1/transcribe/{job_id}/upload-completed")).status_code == 200
        return job_id

    async def _waiting(self, workflow_id: str, line: str) -> int:
        try:
            described = await self.site.client.get_workflow_handle(workflow_id).describe()
        except RPCError:
            return 0
        scheduled = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        pending = described.raw_description.pending_activities
        return sum(one.state == scheduled and one.activity_type.name in LINES[line] for one in pending)

    async def _given(self, workflow_id: str, line: str) -> list[datetime]:
        events = (await self.site.history(workflow_id)).events
        here = {
            event.event_id
            for event in events
            if event.activity_task_scheduled_event_attributes.activity_type.name in LINES[line]
        }
        return [
            event.event_time.ToDatetime()
            for event in events
            if event.activity_task_started_event_attributes.scheduled_event_id in here
        ]

    def _caller(self, owner: Owner) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {owner[1]}"}
        return httpx2.AsyncClient(base_url=self._address, headers=headers, timeout=200, trust_env=False)


def _alone(job_id: str) -> Work:
    return Work(job_id, (names.job_workflow_id(job_id, 1),), 1)


@pytest.fixture
async def office(site: Site) -> Office:
    _, address = await site.serving()
    return Office(site, address)


def test_a_batch_of_any_size_has_no_more_in_line_than_a_full_one() -> None:
    """The arithmetic of the tests below: pages in flight, times packs of a page in flight."""
    packs_of_a_page = SPANS_IN_FLIGHT // PAGES_IN_FLIGHT
    assert packs_of_a_page * PACK_FILES == PAGE_FILES
    assert PAGES_IN_FLIGHT * packs_of_a_page == FULL // PACK_FILES == 16
    assert MAX_FILES // PACK_FILES - 16 == 384


@pytest.mark.promise("T35")
async def test_a_batch_holds_back_nobody_s_single_recording(office: Office) -> None:
    """Another account's, brought and waited for; and one that the owner of the batch sends by the other dialect."""
    site = office.site
    owner, other, caller = [await office.owner() for _ in range(3)]
    await site.working("control")
    batch = await office.batch(owner, FULL)
    await office.stand("media", batch)
    calling = asyncio.create_task(office.call(caller))
    singles = [await office.single(other), await office.called(caller), await office.other_dialect(owner)]
    await office.stand("media", batch, *singles)
    await site.working("media")
    await office.stand("speech", batch, *singles)
    await site.working("speech,voices,deliver")
    for work in (*singles, batch):
        await site.ended(work.job_id)
    assert (await calling).strip(".").lower() == "w0"
    for line in LINES:
        order = await office.order(line, batch, *singles)
        for work in singles:
            assert order[: order.index(work)].count(batch) <= 2 * SLOTS, line


async def test_batches_of_two_accounts_are_heard_in_equal_shares(office: Office) -> None:
    """The one that came second has as much done at any time as the one that was there before."""
    site = office.site
    await site.working("control")
    first = await office.batch(await office.owner(), FULL // 2)
    await office.stand("media", first)
    second = await office.batch(await office.owner(), FULL // 2)
    await office.stand("media", first, second)
    await site.working("media")
    await office.stand("speech", first, second)
    await site.working("speech,deliver")
    for work in (first, second):
        await site.ended(work.job_id)
    for line in LINES:
        order = await office.order(line, first, second)
        ahead = [abs(order[:n].count(first) - order[:n].count(second)) for n in range(len(order))]
        assert max(ahead) <= 2 * SLOTS, line
