"""Can a worker be stopped that has not come to work yet, and which queues does it serve?"""

from __future__ import annotations

import asyncio

import pytest

from tiro.model.errors import Permanent
from worker import _done_before, hearing, served


async def test_a_worker_that_waits_for_its_cluster_can_be_stopped() -> None:
    """It would wait for ever."""
    stopping = asyncio.Event()
    waiting = asyncio.create_task(_done_before(stopping, _for_ever()))
    await asyncio.sleep(0)
    stopping.set()
    assert await waiting is False


async def test_a_start_that_ends_is_told_from_one_that_fails() -> None:
    """The failure is passed on."""

    async def fails() -> None:
        raise Permanent("engine_unavailable")

    assert await _done_before(asyncio.Event(), asyncio.sleep(0)) is True
    with pytest.raises(Permanent):
        await _done_before(asyncio.Event(), fails())


def test_who_was_told_to_serve_media_before_there_was_a_queue_of_addresses_serves_both() -> None:
    """Nothing waits unserved after an upgrade, and nobody serves one twice."""
    assert served(["control", "media"]) == ("control", "media", "fetch")
    assert served(["fetch", "media", "media"]) == ("fetch", "media")
    assert served(["speech"]) == ("speech",)


@pytest.mark.parametrize("slots", [2, 5, 20])
def test_one_batch_leaves_a_place_for_whoever_is_in_a_hurry(slots: int) -> None:
    """At scale its packs are spread over workers that take few in advance."""
    places, in_flight = hearing(slots, embedded=True)
    assert in_flight >= slots
    assert places > in_flight
    assert hearing(slots, embedded=False)[0] == slots


async def _for_ever() -> None:
    await asyncio.Event().wait()
