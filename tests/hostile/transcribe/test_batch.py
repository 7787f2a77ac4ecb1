"""What does a hostile file of a batch cost? Itself: whatever is in it, whoever it leads to, and whatever it does to its decoder."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from activities.pack_fetch import OF_ONE_HOST
from tests.hostile.media.cases import bomb
from tests.hostile.media.flac_bomb import constant_flac
from tests.hostile.media.forged import headless_mp3
from tests.servers.databases import sqlite_template, sqlite_url
from tests.servers.scripted_http import Script, ScriptedHttp, Visit
from tests.workflows.batch_world import BatchWorld, WorldMaker, spoken, words
from tests.workflows.conftest import make_world
from tiro.adapters.media.preparer import ChildPreparer
from worker import Workers

__all__ = ["make_world", "sqlite_template", "sqlite_url"]

Note = Callable[[str], None]
LONGEST_S = 310
LOCAL = {"TIRO_EGRESS_ALLOW": "127.0.0.0/8"}


@pytest.fixture
async def world(make_world: WorldMaker, tmp_path: Path) -> BatchWorld:
    """Where recordings may be a little longer than a pack, so that what is endless ends soon."""
    plans = tmp_path / "plans.toml"
    plans.write_text(f"[plans.business]\nmax_duration_s = {LONGEST_S}\n")
    return await make_world(**LOCAL, TIRO_PLANS=str(plans))


def _to(location: str) -> Script:
    return lambda visit: visit.answer(302, headers={"Location": location})


LATE: dict[str, tuple[Script, str, str]] = {
    "/metadata": (_to("https://169.254.169.254/latest/"), "source_unavailable", "forbidden_address"),
    "/private": (_to("http://10.0.0.1/"), "source_unavailable", "forbidden_address"),
    "/octal": (_to("//0x0a000001/"), "source_unavailable", "forbidden_address"),
    "/file": (_to("file:///etc/passwd"), "source_unavailable", "scheme"),
    "/loop": (_to("/loop"), "source_unavailable", "too_many_redirects"),
    "/page": (lambda visit: visit.answer(body=b"<!doctype html>Sign in"), "source_unavailable", "web_page"),
    "/gone": (lambda visit: visit.answer(410), "source_unavailable", "gone"),
    "/nothing": (lambda visit: visit.answer(), "invalid_audio", "empty_audio"),
    "/list": (lambda visit: visit.answer(body=b"#EXTM3U\nfile:///etc/passwd\n"), "invalid_audio", "unsupported_format"),
    "/zip": (
        lambda visit: visit.answer(body=gzip.compress(bytes(1 << 22)), headers={"Content-Encoding": "gzip"}),
        "invalid_audio",
        "unsupported_format",
    ),
}
"""What proves hostile only when it is fetched, and how it ends."""


async def _ends(world: BatchWorld, job_id: str) -> dict[int, tuple[str, str | None]]:
    return {one.index: (one.error_code or one.state, one.error_reason) for one in await world.files(job_id)}


@pytest.mark.hostile_input(48, "batches: sources that prove hostile when they are fetched", "each fails, by its reason")
async def test_a_hostile_source_costs_itself(world: BatchWorld, seen: Note) -> None:
    """Asked once each; the files before and behind them are heard, and nobody inside is met."""
    with ScriptedHttp({path: script for path, (script, _, _) in LATE.items()}) as server:
        recordings: list[bytes | str] = [spoken(0), *(server.url(path) for path in LATE), spoken(1)]
        async with world.working():
            job_id = await world.submit(recordings)
            await world.ended(job_id)
    ends = await _ends(world, job_id)
    told = {path: ends[number] for number, path in enumerate(LATE, start=1)}
    seen(", ".join(f"{path} {reason}" for path, (_, reason) in told.items()))
    assert told == {path: (code, reason) for path, (_, code, reason) in LATE.items()}
    texts = await world.texts(job_id)
    assert (texts[0], texts[-1]) == (words(0), words(1))
    asked = [visit.path for visit in server.visits]
    assert {path: asked.count(path) for path in LATE} == {path: 6 if path == "/loop" else 1 for path in LATE}


@pytest.mark.hostile_input(17, "batches: recordings that grow without end when they are decoded", "each fails alone")
async def test_a_recording_that_grows_costs_itself(world: BatchWorld, seen: Note) -> None:
    """1 Hz that would be 510 hours, a constant tone of 50 hours in 1.3 MB, an MP3 that does not say how long it is."""
    hours = constant_flac(50 * 3600 * 8000)
    assert len(hours) < 1 << 21
    recordings = [spoken(0), bomb(1), hours, headless_mp3(1 + LONGEST_S // 60), spoken(1)]
    async with world.working():
        job_id = await world.submit(recordings)
        job = await world.ended(job_id)
    ends = await _ends(world, job_id)
    seen(", ".join(str(ends[number][1]) for number in (1, 2, 3)))
    too_long = ("invalid_audio", "duration_exceeds_limit")
    assert [ends[number] for number in (1, 2, 3)] == [("invalid_audio", "decode_failed"), too_long, too_long]
    texts = await world.texts(job_id)
    assert (texts[0], texts[4], job.billed_s) == (words(0), words(1), 4)


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[ChildPreparer]:
    preparer = ChildPreparer(
        vad="energy", command=(sys.executable, "-m", "tests.stubs.moody_decoder"), scratch=tmp_path
    )
    yield preparer
    preparer.close()


@pytest.mark.hostile_input(24, "batches: decoders that the kernel kills, that crash, that hoard", "each fails alone")
async def test_a_file_whose_decoder_is_killed_costs_itself(world: BatchWorld, moody: ChildPreparer, seen: Note) -> None:
    """In one pack with files that are in order, before, between and behind."""
    deeds = ["good", "kill", "fine", "hoard", "well", "segfault", "exit", "better"]
    house = msgspec.structs.replace(world.house, preparer=moody)
    world.core = msgspec.structs.replace(world.core, house=house)
    async with world.working():
        job_id = await world.submit([f"{deed} ".encode() * 8 for deed in deeds])
        await world.ended(job_id)
    ends = [one[1] for one in dict(sorted((await _ends(world, job_id)).items())).values()]
    seen(", ".join(f"{deed} {reason}" for deed, reason in zip(deeds, ends, strict=True) if reason))
    hostile = {"kill", "hoard", "segfault", "exit"}
    assert ends == ["decode_failed" if deed in hostile else None for deed in deeds]


class Silent:
    """A host that takes connections and says nothing; counts how many it has at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 0
        self.most = 0

    def __call__(self, visit: Visit) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        visit.ended.wait()
        with self._lock:
            self.now -= 1


@pytest.mark.hostile_input(49, "batches: thousands of addresses at a host that never answers", "a few sockets, ends")
async def test_a_host_that_never_answers_has_a_few_sockets_of_ours_and_is_left_at_once(
    world: BatchWorld, seen: Note
) -> None:
    """As many as packs are brought at once times what each opens, however many files the batch has; cancelled, none."""
    silent = Silent()
    with ScriptedHttp({"/silent": silent}) as server:
        async with world.working() as workers:
            job_id = await world.submit([server.url("/silent")] * 1000)
            most = OF_ONE_HOST * _slots(workers)

            async def full() -> bool:
                return silent.most >= most

            await world.until(full, "all places are taken")
            await world.house.jobs.cancel(job_id)
            await world.ended(job_id, "cancelled")
    seen(f"{silent.most} sockets for 1,000 addresses")
    assert silent.most == most


@pytest.mark.hostile_input(49, "batches: hosts that never answer, and uploads behind them", "uploads are not held up")
async def test_what_was_brought_is_prepared_while_silent_hosts_are_waited_for(world: BatchWorld, seen: Note) -> None:
    """Every place of whoever fetches is taken, and stays taken."""
    silent = Silent()
    with ScriptedHttp({"/silent": silent}) as server:
        async with world.working() as workers:
            held = await world.submit([server.url("/silent")] * 1000)
            most = OF_ONE_HOST * _slots(workers)

            async def full() -> bool:
                return silent.now >= most

            await world.until(full, "all places are taken")
            brought = await world.submit([spoken(0), spoken(1)])
            await world.ended(brought)
            assert await full()
            await world.house.jobs.cancel(held)
            await world.ended(held, "cancelled")
    seen("two uploads heard meanwhile")
    assert await world.texts(brought) == [words(0), words(1)]


def _slots(workers: Workers) -> int:
    return min(16, workers._slots("fetch"))
