"""What becomes of a recording that is cut while it comes, from an address or out of the store, however that ends?"""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import pytest
from temporalio.testing import ActivityEnvironment

from activities.recording import Recording
from activities.tasks import FetchTask, IngestTask, Prepared
from activities.threads import Threads
from tests.media_builder import numbered, wav
from tests.servers.databases import SteppedClock
from tests.unit.services.desk import Desk
from tiro.adapters.engines.numbered import hear
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.storage.folder import FolderBlobs
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.blob import plan_key, source_key, span_audio_key
from tiro.model.errors import MediaRefused, Transient
from tiro.model.media import MediaLimits, SpanPlan
from tiro.ports import Blobs, BlobWriter, Fetched

URL = "https://bucket.example/recording"
PATIENCE_S = 20
RECORDING = wav(numbered(200))
MOST = len(RECORDING) * 3 // 4


class Told(RecordedOrchestrator):
    """A workflow that hears of spans. `once`: it has heard of one."""

    def __init__(self) -> None:
        super().__init__()
        self.once = threading.Event()

    async def announce_span(self, job_id: str, run: int, plan: str, index: int) -> None:
        await super().announce_span(job_id, run, plan, index)
        self.once.set()


class Address:
    """Gives most of a recording, then waits for what a test says, then gives the rest, or breaks off."""

    def __init__(self) -> None:
        self.gives = RECORDING
        self.breaks = False
        self.midway: Callable[[threading.Event], object] = lambda stop: None
        self.asked = 0

    def check(self, url: str) -> None: ...

    def fetch(
        self, url: str, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], stop: threading.Event
    ) -> Fetched:
        self.asked += 1
        into = writer(len(self.gives))
        try:
            into.write(self.gives[:MOST])
            self.midway(stop)
            if self.breaks or stop.is_set():
                raise Transient("source_unreachable")
            into.write(self.gives[MOST:])
            return Fetched(into.commit(), "http")
        except BaseException:
            into.abort()
            raise


class Bench:
    """Both stations over the desk's record, with a job that runs and has an address."""

    def __init__(self, desk: Desk, blobs: Blobs, preparer: ChildPreparer, threads: Threads, scratch: Path) -> None:
        self.desk, self.blobs = desk, blobs
        self.address, self.told = Address(), Told()
        self.recording = Recording(desk.line, blobs, self.address, preparer, self.told, threads, scratch)
        self._preparer = preparer

    async def fetch(self) -> None:
        await ActivityEnvironment().run(self.recording.fetch, FetchTask("job_1", 1, 30.0))

    async def ingest(self) -> Prepared:
        return await ActivityEnvironment().run(self.recording.ingest, IngestTask("job_1", 1, 30.0))  # type: ignore[no-any-return]

    def words(self, plan_id: str) -> list[str]:
        plan = msgspec.json.decode(self.blobs.get(plan_key("job_1", plan_id)), type=SpanPlan)
        audio = [self.blobs.get(span_audio_key("job_1", plan_id, span.index)) for span in plan.spans]
        return [word.text for flac in audio for word in hear(self._preparer.read(flac))]

    def has(self, name: str) -> bool:
        return any(info.key.endswith(name) for info in self.blobs.list("jobs/job_1/"))


@pytest.fixture(scope="module")
def preparer() -> Iterator[ChildPreparer]:
    made = ChildPreparer(span_s=60, vad="energy")
    yield made
    made.close()


@pytest.fixture
def store() -> Literal["folder", "elsewhere"]:
    return "elsewhere"


@pytest.fixture
async def bench(
    desk: Desk, preparer: ChildPreparer, tmp_path: Path, clock: SteppedClock, store: str
) -> AsyncIterator[Bench]:
    await desk.queued(await desk.account(), url=URL)
    await desk.dispatch.once()
    assert await desk.line.begin("job_1", 1, "claim") is not None
    blobs = FolderBlobs(tmp_path / "blobs") if store == "folder" else MemoryBlobs(clock)
    with ThreadPoolExecutor(4) as executor:
        yield Bench(desk, blobs, preparer, Threads(executor), tmp_path)


@pytest.mark.parametrize("store", ["folder", "elsewhere"])
async def test_a_span_is_announced_before_the_address_has_given_all(bench: Bench) -> None:
    """It gives the rest only when it was."""
    bench.address.midway = lambda stop: bench.told.once.wait(PATIENCE_S)
    await bench.fetch()
    assert bench.told.once.is_set()
    prepared = await bench.ingest()
    assert bench.words(prepared.plan) == [f"w{n}" for n in range(200)]
    assert bench.blobs.get(source_key("job_1")) == RECORDING
    assert {plan for _, _, plan, _ in bench.told.announced} == {prepared.plan}
    assert bench.address.asked == 1


@pytest.mark.parametrize("store", ["folder", "elsewhere"])
async def test_an_address_that_breaks_off_leaves_no_recording_and_no_plan(bench: Bench, tmp_path: Path) -> None:
    """What was cut stays, and is not cut otherwise by the next attempt."""
    bench.address.midway, bench.address.breaks = lambda stop: bench.told.once.wait(PATIENCE_S), True
    with pytest.raises(Transient) as broken:
        await bench.fetch()
    assert broken.value.code == "source_unreachable"
    assert (bench.has("source"), bench.has("plan.json"), bench.has("0000.flac")) == (False, False, True)
    assert list(tmp_path.glob("ingest-*")) == []
    bench.address.breaks = False
    await bench.fetch()
    prepared = await bench.ingest()
    assert {plan for _, _, plan, _ in bench.told.announced} == {prepared.plan}
    assert bench.words(prepared.plan) == [f"w{n}" for n in range(200)]


async def test_two_recordings_of_one_address_are_never_mixed(bench: Bench) -> None:
    """The second attempt is given another one, the third that again: it has a plan of its own, and always the same."""
    bench.address.midway, bench.address.breaks = lambda stop: bench.told.once.wait(PATIENCE_S), True
    with pytest.raises(Transient):
        await bench.fetch()
    first = {plan for _, _, plan, _ in bench.told.announced}
    bench.told.announced.clear()
    bench.address.gives, bench.address.midway = wav(numbered(200, 500)), lambda stop: _second_plan(bench, first)
    with pytest.raises(Transient):
        await bench.fetch()
    bench.address.breaks = False
    await bench.fetch()
    prepared = await bench.ingest()
    assert bench.words(prepared.plan) == [f"w{n}" for n in range(500, 700)]
    assert {plan for _, _, plan, _ in bench.told.announced} == {prepared.plan}
    assert prepared.plan not in first


async def test_trouble_of_our_own_does_not_break_off_what_may_be_given_only_once(bench: Bench) -> None:
    """Temporal is away when the first span is to be announced."""
    bench.told.away = True
    await bench.fetch()
    assert (bench.has("source"), bench.has("plan.json")) == (True, False)
    bench.told.away = False
    prepared = await bench.ingest()
    assert bench.words(prepared.plan) == [f"w{n}" for n in range(200)]
    assert bench.address.asked == 1


async def test_what_cannot_be_decoded_is_refused_before_all_of_it_has_come(bench: Bench) -> None:
    """And nothing of it is kept."""
    bench.address.gives = b"no recording at all " * (MOST // 10)
    bench.address.midway = lambda stop: stop.wait(PATIENCE_S)
    with pytest.raises(MediaRefused) as refused:
        await bench.fetch()
    assert refused.value.reason == "unsupported_format"
    assert not bench.has("source")


async def test_where_many_drip_the_next_is_only_fetched(bench: Bench) -> None:
    """And cut when it is there."""
    while not bench.recording._cutting.locked():
        await bench.recording._cutting.acquire()
    await bench.fetch()
    assert (bench.has("source"), bench.has("plan.json")) == (True, False)
    assert bench.words((await bench.ingest()).plan) == [f"w{n}" for n in range(200)]


async def test_a_span_is_announced_before_all_is_copied_out_of_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is given only when it was."""
    stored = bench.blobs.put(source_key("job_1"), RECORDING)

    class Halting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= MOST:
                assert bench.told.once.wait(PATIENCE_S)
            return super().read(size)

    def halting(key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        return Halting(RECORDING)

    assert stored.size_bytes == len(RECORDING)
    monkeypatch.setattr(bench.recording._sources, "_blobs", bench.blobs)
    monkeypatch.setattr(bench.blobs, "open", halting)
    prepared = await bench.ingest()
    assert bench.words(prepared.plan) == [f"w{n}" for n in range(200)]


def _second_plan(bench: Bench, first: set[str]) -> None:
    """Another plan than the first is announced."""
    for _ in range(PATIENCE_S * 10):
        if {plan for _, _, plan, _ in bench.told.announced} - first:
            bench.told.announced[:] = [one for one in bench.told.announced if one[2] not in first]
            return
        threading.Event().wait(0.1)
    raise AssertionError("never announced")
