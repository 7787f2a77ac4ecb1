"""Who brings a recording in, when both the fetch ahead and the run's own station could?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.recording import LOOK_AGAIN_S, Recording
from activities.tasks import FetchTask
from activities.threads import Threads
from tests.unit.services.desk import Desk
from tiro.model.account import Account
from tiro.model.errors import Transient
from tiro.model.media import MediaLimits
from tiro.ports import BlobWriter, Fetched
from tiro.services.line import Superseded

URL = "https://bucket.example/recording"
TASK = FetchTask("job_1", 1)


class OneAnswer:
    """A server that gives the recording once. `meanwhile`: what happens while it comes; `afterwards`: once it is stored."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.afterwards: Callable[[], object] = lambda: None

    def check(self, url: str) -> None: ...

    def fetch(
        self, url: str, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], stop: threading.Event
    ) -> Fetched:
        self.asked.append(url)
        assert len(self.asked) == 1
        incoming = writer(None)
        incoming.write(b"recording")
        self.meanwhile()
        stored = incoming.commit()
        self.afterwards()
        return Fetched(stored, "http")


class Bench:
    """The stations over the desk's record, with a job that has an address behind a full account."""

    def __init__(self, desk: Desk, recording: Recording, server: OneAnswer, account: Account) -> None:
        self.desk, self.recording, self.server, self.account = desk, recording, server, account

    async def do(self, station: Callable[..., Any]) -> None:
        await ActivityEnvironment().run(station, TASK)

    async def turn_comes(self) -> None:
        """A slot is free, and the run has begun."""
        await self.desk.endings.end("job_runs_1", 1, "cancelled")
        await self.desk.dispatch.once()
        assert await self.desk.line.begin("job_1", 1, "claim") is not None


@pytest.fixture
async def bench(desk: Desk, tmp_path: Path) -> AsyncIterator[Bench]:
    account = await desk.account("free")
    for job_id in ("job_runs_1", "job_runs_2"):
        await desk.queued(account, job_id)
        desk.clock.step()
    await desk.dispatch.once()
    await desk.queued(account, url=URL)
    await desk.dispatch.once()
    server = OneAnswer()
    with ThreadPoolExecutor(4) as executor:
        recording = Recording(
            desk.line,
            desk.blobs,
            server,
            None,  # type: ignore[arg-type]
            desk.orchestrator,
            Threads(executor),
            tmp_path,
        )
        yield Bench(desk, recording, server, account)


@pytest.mark.promise("J41")
async def test_what_was_fetched_while_the_job_waited_is_not_fetched_again(bench: Bench) -> None:
    """The address may have ended; the record is as it was until the run begins."""
    await bench.do(bench.recording.fetch_ahead)
    waiting = await bench.desk.job()
    assert (waiting.state, waiting.stage) == ("queued", "queued")
    bench.desk.orchestrator.fetches.clear()
    await bench.turn_comes()
    await bench.do(bench.recording.fetch)
    assert bench.desk.names() == ["source"]
    assert bench.server.asked == [URL]


@pytest.mark.promise("J41")
async def test_a_run_waits_for_the_fetch_that_began_ahead_of_it_and_keeps_no_place_from_it(bench: Bench) -> None:
    """It ends its attempt and comes again; once the other is over without a recording, it fetches for itself."""
    await bench.turn_comes()
    with pytest.raises(Transient) as waits:
        await bench.do(bench.recording.fetch)
    assert (waits.value.code, waits.value.extras["retry_after_s"]) == ("fetch_under_way", LOOK_AGAIN_S)
    assert bench.server.asked == []
    assert (await bench.desk.job()).stage == "fetching"
    bench.desk.orchestrator.fetches.clear()
    await bench.do(bench.recording.fetch)
    assert bench.server.asked == [URL]


async def test_a_fetch_ahead_that_comes_late_leaves_the_recording_to_the_run(bench: Bench) -> None:
    await bench.turn_comes()
    await bench.do(bench.recording.fetch_ahead)
    assert bench.server.asked == []


async def test_a_fetch_of_a_job_that_is_cancelled_meanwhile_leaves_nothing(bench: Bench) -> None:
    """The cancel takes what is being written from under it; the next attempt is told that nobody wants it."""
    bench.server.meanwhile = _cancelling(bench)
    with pytest.raises(Transient, match="removed while it was being written"):
        await bench.do(bench.recording.fetch_ahead)
    with pytest.raises(Superseded):
        await bench.do(bench.recording.fetch_ahead)
    assert bench.server.asked == [URL]
    assert bench.desk.names() == []


async def test_a_fetch_that_is_stored_after_the_cancel_has_looked_removes_it_again(bench: Bench) -> None:
    """It looks at the record once more, after every write."""
    bench.server.afterwards = _cancelling(bench)
    with pytest.raises(Superseded):
        await bench.do(bench.recording.fetch_ahead)
    assert bench.desk.names() == []


def _cancelling(bench: Bench) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    return lambda: asyncio.run_coroutine_threadsafe(bench.desk.jobs.cancel("job_1"), loop).result()
