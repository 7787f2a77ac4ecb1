"""What comes of addresses of a batch: fetched once, within the room that there is, in turns with others, few of one host?"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from activities.batch_tasks import Brought
from activities.faults import first_of
from activities.pack_fetch import BEGINS_FOR_S, FETCHES, OF_ONE_HOST
from activities.room import Room, RoomWriter
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp
from tests.unit.activities.batch_desk import BatchDesk, batch_desk
from tiro.model.blob import file_id, source_key
from tiro.model.errors import Transient
from tiro.model.media import MediaLimits
from tiro.services.line import stale_after


def spoken(seconds: int) -> bytes:
    return wav(numbered(seconds))


@pytest.fixture
async def desk(tmp_path: Path, sqlite_url: str) -> AsyncIterator[BatchDesk]:
    async with batch_desk(tmp_path, sqlite_url) as made:
        yield made


async def test_what_is_fetched_is_fetched_once_and_counted_each_time(desk: BatchDesk) -> None:
    recording = spoken(2)
    with ScriptedHttp({"/a": lambda visit: visit.answer(body=recording)}) as http:
        await desk.begin([http.url("/a")])
        assert await desk.fetch(0) == await desk.fetch(0) == Brought(fetched_bytes=len(recording))
        assert len(http.visits) == 1


async def test_more_than_a_batch_may_hold_ends_it(desk: BatchDesk) -> None:
    """While it is fetched already."""
    with ScriptedHttp({"/a": lambda visit: visit.answer(body=spoken(2))}) as http:
        await desk.begin([http.url("/a"), spoken(1)])
        with pytest.raises(ExceptionGroup) as ended:
            await desk.fetch(0, 1, room_bytes=1000)
        assert getattr(first_of(ended.value), "code", None) == "batch_too_large"


async def test_what_is_fetched_side_by_side_never_takes_more_room_than_there_is(desk: BatchDesk) -> None:
    """Each alone would fit."""
    recording = spoken(2)
    room_bytes = len(recording) * 3 // 2
    with ScriptedHttp({f"/{n}": lambda visit: visit.answer(body=recording) for n in range(FETCHES)}) as http:
        await desk.begin([http.url(f"/{n}") for n in range(FETCHES)])
        with pytest.raises(ExceptionGroup) as ended:
            await desk.fetch(*range(FETCHES), room_bytes=room_bytes)
    assert getattr(first_of(ended.value), "code", None) == "batch_too_large"
    assert sum(map(len, desk.objects("files/").values())) <= room_bytes


async def test_what_came_to_nothing_gives_its_room_back(desk: BatchDesk) -> None:
    recording = spoken(2)
    halves = iter([recording[: len(recording) // 2], recording])
    scripts = {"/a": lambda visit: visit.answer(body=next(halves), headers={"Content-Length": str(len(recording))})}
    with ScriptedHttp(scripts) as http:
        room = Room(len(recording))
        for _ in range(2):
            with contextlib.suppress(Transient):
                desk.house.fetcher.fetch(
                    http.url("/a"),
                    MediaLimits(60.0, len(recording)),
                    lambda _: RoomWriter(desk.house.blobs.writer("jobs/j/source"), room),
                    threading.Event(),
                )
    assert desk.house.blobs.get("jobs/j/source") == recording


async def test_an_address_in_passing_trouble_is_asked_again_by_itself(desk: BatchDesk) -> None:
    """As often as any source; its neighbours are there meanwhile, and it ends alone."""
    with ScriptedHttp({"/a": lambda visit: visit.answer(503), "/b": lambda visit: visit.answer(body=b"b")}) as http:
        await desk.begin([http.url("/a"), http.url("/b")])
        assert await desk.fetch(0, 1) == Brought(fetched_bytes=1, again=(0,))
        while (await desk.fetch(0)).again:
            continue
        assert len([visit for visit in http.visits if visit.path == "/a"]) == stale_after("source_unreachable")
    row = (await desk.rows())[0]
    assert (row.error_code, row.error_reason) == ("transient_error", "source_unreachable")


async def test_a_host_that_says_nothing_keeps_no_other_waiting(desk: BatchDesk) -> None:
    """However many addresses are at it, and though they come first."""
    with ScriptedHttp({"/b": lambda visit: visit.answer(body=b"b")}) as other:
        with ScriptedHttp({"/a": lambda visit: visit.ended.wait()}) as silent:
            await desk.begin([silent.url("/a")] * 3 * FETCHES + [other.url("/b")])
            last = 3 * FETCHES
            fetching = asyncio.create_task(desk.fetch(*range(last + 1)))
            while desk.house.blobs.head(source_key(file_id(desk.job_id, last))) is None:
                await asyncio.sleep(0.02)
            assert len(silent.visits) <= OF_ONE_HOST
        brought = await fetching
    assert brought == Brought(fetched_bytes=1, again=tuple(range(last)))


async def test_the_place_is_given_up_in_time_and_the_rest_has_another_turn(desk: BatchDesk) -> None:
    """What has begun is brought to its end."""
    with ScriptedHttp({"/a": lambda visit: visit.answer(body=b"a")}) as http:
        await desk.begin([http.url("/a")] * 2)
        now_s = chain([0.0, BEGINS_FOR_S - 1], repeat(BEGINS_FOR_S))
        first = await desk.fetch(0, 1, clock=lambda: next(now_s))
        assert first == Brought(fetched_bytes=1, later=(1,))
        assert await desk.fetch(*first.later) == Brought(fetched_bytes=1)


async def test_a_page_that_began_before_this_was_a_station_fetches_as_it_prepares(desk: BatchDesk) -> None:
    """And one that began since does not fetch again what has gone meanwhile."""
    recording = spoken(2)
    with ScriptedHttp({"/a": lambda visit: visit.answer(body=recording)}) as http:
        await desk.begin([http.url("/a")] * 2)
        before = await desk.ingest(0)
        assert ([pack.files for pack in before.packs], before.fetched_bytes) == ([(0,)], len(recording))
        since = await desk.ingest(1, fetched=True)
        assert (since.packs, since.fetched_bytes, len(http.visits)) == ((), 0, 1)
    assert (await desk.rows())[1].error_reason == "gone"
