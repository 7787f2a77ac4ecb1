"""How does a manifest become a batch? Whole or not at all, and only what can be worked on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.servers.databases import SteppedClock
from tests.unit.services.desk import CHAIN, PLANS, Desk
from tiro.adapters.fakes import CountedIds
from tiro.model.batch import MAX_BYTES, MAX_FILES, BatchEntryWish
from tiro.model.blob import job_prefix
from tiro.model.errors import Invalid, NotFound, Permanent, SourceRefused, Transient
from tiro.model.job import Job
from tiro.model.replay import Replay
from tiro.model.request import AwaitedSource, JobOptions, JobRequest, ManifestSource
from tiro.services.batches import Batches
from tiro.services.intake import Intake
from tiro.services.replays import Once, name_of

URL = "https://files.example/"


class Doors:
    """Addresses may be opened, unless they say that they are shut."""

    def check(self, url: str) -> None:
        if "shut" in url:
            raise SourceRefused("forbidden_address")


class Forgetful:
    """A store that goes away after so many writes."""

    def __init__(self, blobs: Any, writes: int) -> None:
        self._blobs = blobs
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, *args: Any) -> Any:
        self._writes -= 1
        if self._writes < 0:
            raise Transient("store_unavailable")
        return self._blobs.put(*args)


class Counter:
    """A desk that takes batches in."""

    def __init__(self, desk: Desk, blobs: Any = None) -> None:
        self.desk = desk
        doors: Any = Doors()
        self.intake = Intake(
            desk.records, desk.vault, desk.clock, CountedIds(), doors, doors, PLANS, CHAIN, lambda: None
        )
        self.batches = Batches(desk.records, blobs or desk.blobs, doors, self.intake)

    async def submit(
        self, *entries: BatchEntryWish, once: Once | None = None, job_id: str = "job_1", **declared: int
    ) -> Job | Replay:
        account = await self.desk.account()
        await self.desk.wallets.credit(account.account_id, 1_000_000, "test")
        request = JobRequest(
            job_id=job_id,
            account_id=account.account_id,
            dialect="transcribe",
            options=JobOptions(language="en", diarize=False),
            source=AwaitedSource(),
            reference="mine",
        )
        return await self.batches.submit(request, entries, once=once, **declared)

    async def job(self, *entries: BatchEntryWish, **declared: int) -> Job:
        job = await self.submit(*entries, **declared)
        assert isinstance(job, Job)
        return job


@pytest.fixture
def counter(desk: Desk) -> Counter:
    return Counter(desk)


def brought(*references: str, **fields: Any) -> list[BatchEntryWish]:
    return [BatchEntryWish(reference=reference, **fields) for reference in references]


def fetched(reference: str, path: str = "a") -> BatchEntryWish:
    return BatchEntryWish(reference=reference, url=URL + path)


async def stale(desk: Desk) -> list[str]:
    async with desk.records.begin() as tx:
        return await tx.jobs.stale_uploads(desk.clock.step(1))


async def test_a_batch_with_files_to_be_brought_awaits_them(counter: Counter) -> None:
    job = await counter.job(*brought("a", "b"), fetched("c"), declared_files=3, declared_bytes=99)
    assert (job.awaiting, job.state, job.files_total, job.priority, job.reference) == (True, "queued", 3, 4, "mine")
    assert isinstance(job.source, ManifestSource)
    assert (job.source.files, job.source.uploads) == (3, 2)
    assert await counter.desk.dispatch.once() == 0
    assert await stale(counter.desk) == ["job_1"]


async def test_a_batch_of_addresses_begins_at_once(counter: Counter) -> None:
    """As a batch; Temporal learns how many files, and nothing of them."""
    job = await counter.job(fetched("canary"))
    assert not job.awaiting
    assert await counter.desk.dispatch.once() == 1
    launch = counter.desk.orchestrator.launched["job_1", 1]
    assert (launch.priority, launch.flags, launch.summary) == (4, ("batch",), "1 files · en · transcribe")
    assert await stale(counter.desk) == []


async def test_entries_come_back_as_they_were_named(counter: Counter) -> None:
    """Page by page, byte for byte; addresses sealed."""
    named = [f"naïve/../{n}\u2028 \U0001f600" for n in range(250)]
    wishes = [
        BatchEntryWish(reference=name, size_bytes=n, media_type="audio/mpeg", name=f"{n}.mp3", language="en")
        for n, name in enumerate(named)
    ]
    wishes[120] = fetched(named[120], "secret")
    job = await counter.job(*wishes)
    entries = await counter.batches.entries(job, 90, 40)
    assert [entry.index for entry in entries] == list(range(90, 130))
    assert [entry.reference for entry in entries] == named[90:130]
    assert (entries[0].size_bytes, entries[0].name, entries[0].language) == (90, "90.mp3", "en")
    sealed = entries[30].sealed_url
    assert sealed is not None
    assert counter.desk.vault.open(sealed) == (URL + "secret").encode()
    found = await counter.batches.named(job, [named[249], named[3], "unknown"])
    assert {name: entry.index for name, entry in found.items()} == {named[249]: 249, named[3]: 3}
    stored = b"".join(counter.desk.blobs.get(one.key) for one in counter.desk.blobs.list(job_prefix("job_1")))
    assert b"files.example" not in stored


REFUSED: dict[str, tuple[str, list[BatchEntryWish]]] = {
    "none": ("empty_batch", []),
    "too many": ("too_many_files", brought(*map(str, range(MAX_FILES + 1)))),
    "too large": ("batch_too_large", [*brought("a", size_bytes=MAX_BYTES), *brought("b", size_bytes=1)]),
    "one name twice": ("duplicate_reference", brought("a", "b", "a")),
    "an address that may not be opened": ("invalid_source_url", [fetched("a"), fetched("b", "shut")]),
    "a language that nobody knows": ("unsupported_language", brought("a", language="xx")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_worked_on_is_refused_before_anything_is_written(counter: Counter, case: str) -> None:
    code, entries = REFUSED[case]
    with pytest.raises(Invalid) as refused:
        await counter.submit(*entries)
    assert refused.value.code == code
    assert list(counter.desk.blobs.list("")) == []
    assert await stale(counter.desk) == []


async def test_as_much_as_may_be_is_taken(counter: Counter) -> None:
    entries = [*brought("big", size_bytes=MAX_BYTES), *brought(*map(str, range(MAX_FILES - 1)))]
    assert (await counter.job(*entries)).files_total == MAX_FILES


async def test_a_refusal_at_the_counter_leaves_nothing(counter: Counter) -> None:
    """The manifest is written by then; it goes again."""
    request = JobRequest(
        job_id="job_1", account_id="acct_9", dialect="transcribe", options=JobOptions(), source=AwaitedSource()
    )
    with pytest.raises(Permanent):
        await counter.batches.submit(request, brought("a"))
    assert list(counter.desk.blobs.list("")) == []
    assert await stale(counter.desk) == []


async def test_what_was_answered_before_is_answered_again(counter: Counter) -> None:
    """With the manifest of the first, and none of the second."""
    once = Once(name_of("acct", "POST /v1/jobs", "key"), "f" * 64, lambda job: job.job_id.encode())
    first = await counter.submit(*brought("a"), once=once)
    again = await counter.submit(*brought("a"), once=once, job_id="job_2")
    assert isinstance(first, Job)
    assert isinstance(again, Replay)
    assert again.answer == b"job_1"
    assert {one.key.split("/")[1] for one in counter.desk.blobs.list("")} == {"job_1"}


async def test_an_answer_is_given_again_without_a_word_to_the_store(desk: Desk) -> None:
    """A hundred pages are not written to be thrown away."""
    once = Once(name_of("acct", "POST /v1/jobs", "key"), "f" * 64, lambda job: job.job_id.encode())
    await Counter(desk).submit(*brought("a"), once=once)
    again = await Counter(desk, Forgetful(desk.blobs, 0)).submit(*brought("a"), once=once, job_id="job_2")
    assert isinstance(again, Replay)
    assert await stale(desk) == ["job_1"]


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_store_that_goes_away_in_the_middle_leaves_no_batch(desk: Desk, writes: int) -> None:
    """Two pages and an index: whichever is missing, there is no row, and what was written is gone."""
    with pytest.raises(Transient):
        await Counter(desk, Forgetful(desk.blobs, writes)).submit(*brought(*map(str, range(150))))
    with pytest.raises(NotFound):
        await desk.jobs.get("job_1")
    assert list(desk.blobs.list("")) == []


async def test_a_process_that_dies_before_the_row_leaves_what_upkeep_finds(desk: Desk, clock: SteppedClock) -> None:
    """The manifest lies there, below an upload that nobody ends."""
    counter = Counter(desk)
    await counter.intake.begin_upload("job_1", (await desk.account()).account_id)
    desk.blobs.put("jobs/job_1/manifest/0000.json", b"[]")
    clock.step(25 * 3600)
    assert (await desk.upkeep.sweep()).uploads == 1
    assert list(desk.blobs.list("")) == []


async def test_a_manifest_that_is_not_as_it_was_written_is_not_read(counter: Counter) -> None:
    job = await counter.job(*brought("a"))
    other = msgspec.json.encode([{"index": 0, "reference": "b"}])
    counter.desk.blobs.put("jobs/job_1/manifest/0000.json", other)
    with pytest.raises(Permanent, match="manifest") as changed:
        await counter.batches.entries(job)
    counter.desk.blobs.delete("jobs/job_1/manifest/0000.json")
    with pytest.raises(Permanent) as missing:
        await counter.batches.entries(job)
    assert changed.value.code == missing.value.code == "manifest_mismatch"
