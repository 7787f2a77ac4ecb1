"""The batcher: who comes first is taken first, what is asked is not mixed, bounds hold, and no window is lost."""

from __future__ import annotations

import asyncio
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiro.adapters.engines.hosts.batcher import Batcher
from tiro.adapters.engines.hosts.protocol import PASS_SAMPLES, Ask
from tiro.model.errors import Transient
from tiro.model.speech import EngineOptions
from tiro.ports import Urgency

PASSES, WINDOWS = 2, 5
FOREVER_S = 1000.0
AUDIO = np.zeros(2 * PASS_SAMPLES, np.float32)
ASKS = [Ask(EngineOptions(prompt=prompt)) for prompt in "abc"]

SIZES = st.one_of(st.integers(0, 2 * PASS_SAMPLES), st.sampled_from([0, 1, PASS_SAMPLES, PASS_SAMPLES // 2]))
ARRIVALS = st.lists(st.tuples(SIZES, st.sampled_from(ASKS), st.integers(1, 4), st.booleans()), max_size=40)


def batcher(wait_s=0.0):
    return Batcher(PASSES * PASS_SAMPLES, WINDOWS, wait_s)


def put(queue, size=PASS_SAMPLES, ask=ASKS[0], priority=3):
    return queue.put(AUDIO[:size], ask, Urgency("job_1", priority))


def samples(batch):
    return sum(waiting.size for waiting in batch)


def orders(batch):
    return [waiting.order for waiting in batch]


async def emptied(queue, remaining):
    """All batches, one after another."""
    while remaining:
        batch = await queue.take()
        yield batch
        remaining -= set(batch)


@given(ARRIVALS)
def test_batches_hold_their_bounds_mix_nothing_and_begin_with_whoever_is_first(arrivals):
    async def run():
        queue = batcher()
        remaining = set()
        for size, ask, priority, dropped in arrivals:
            waiting = put(queue, size, ask, priority)
            if dropped:
                queue.drop(waiting)
                queue.drop(waiting)
            else:
                remaining.add(waiting)
        seen = []
        async for batch in emptied(queue, remaining):
            (ask,) = {waiting.ask for waiting in batch}
            alike = sorted(waiting.order for waiting in remaining if waiting.ask == ask)
            assert 0 < len(batch) <= WINDOWS
            assert samples(batch) <= PASSES * PASS_SAMPLES
            assert batch[0].order == min(waiting.order for waiting in remaining)
            assert orders(batch) == alike[: len(batch)]
            seen += batch
        assert len(seen) == len(set(seen)) == sum(not dropped for *_, dropped in arrivals)

    asyncio.run(run())


@given(ARRIVALS, st.integers(2, 4))
def test_those_that_wait_to_take_share_what_there_is_and_lose_nothing_when_they_are_called_off(arrivals, takers):
    async def run():
        queue = batcher()
        waiting = {put(queue, size, ask, priority) for size, ask, priority, _ in arrivals}
        taking = [asyncio.create_task(queue.take()) for _ in range(takers)]
        for _ in range(3):
            await asyncio.sleep(0)
        taking[0].cancel()
        late = [asyncio.create_task(queue.take()) for _ in range(len(arrivals) + 1)]
        # turns of the loop enough to hand out every window alone
        for _ in range(3 * len(arrivals) + 9):
            await asyncio.sleep(0)
        got = [one for task in (*taking, *late) if task.done() and not task.cancelled() for one in task.result()]
        assert len(got) == len(set(got))
        assert set(got) == waiting
        for task in (*taking, *late):
            task.cancel()

    asyncio.run(run())


@pytest.mark.parametrize(("windows", "shares"), [(4, [2, 2]), (3, [2, 1]), (1, [1])])
async def test_idle_hosts_share_by_seconds(windows, shares):
    queue = batcher()
    for _ in range(windows):
        put(queue, PASS_SAMPLES // 2)
    taking = [asyncio.create_task(queue.take()) for _ in range(2)]
    done, _ = await asyncio.wait(taking, timeout=5, return_when="ALL_COMPLETED" if windows > 1 else "FIRST_COMPLETED")
    assert [len(task.result()) for task in taking if task in done] == shares
    for task in taking:
        task.cancel()


async def test_a_full_batch_waits_for_no_company():
    for count, size in ((PASSES, PASS_SAMPLES), (WINDOWS, 1)):
        queue = batcher(wait_s=FOREVER_S)
        for _ in range(count):
            put(queue, size)
        async with asyncio.timeout(10):
            assert len(await queue.take()) == count


async def test_a_first_window_waits_a_moment_for_company():
    queue = batcher(wait_s=0.5)
    taking = asyncio.create_task(queue.take())
    put(queue, 10)
    await asyncio.sleep(0)
    put(queue, 20)
    assert [waiting.size for waiting in await taking] == [10, 20]


async def test_a_busy_host_gets_full_batches_only_and_only_where_no_idle_one_waits():
    queue = batcher(wait_s=FOREVER_S)
    current = asyncio.get_running_loop().create_future()
    idle, busy = asyncio.create_task(queue.take()), asyncio.create_task(queue.take_ahead(current))
    for _ in range(PASSES):
        put(queue)
    async with asyncio.timeout(10):
        assert len(await idle) == PASSES
        for _ in range(PASSES - 1):
            put(queue)
        await asyncio.sleep(0)
        assert not busy.done()
        put(queue)
        assert len(await busy) == PASSES


async def test_a_host_that_is_done_meanwhile_gets_no_batch_ahead():
    queue = batcher()
    current = asyncio.get_running_loop().create_future()
    busy = asyncio.create_task(queue.take_ahead(current))
    waiting = put(queue)
    await asyncio.sleep(0)
    current.set_result(None)
    assert await busy == []
    assert await queue.take() == [waiting]


async def test_dropped_windows_do_not_stay_in_memory():
    queue = batcher()
    kept = put(queue, priority=1)
    windows = []
    for _ in range(2000):
        window = np.zeros(10, np.float32)
        windows.append(weakref.ref(window))
        queue.drop(queue.put(window, ASKS[0], Urgency("job_2", 3)))
    assert sum(window() is not None for window in windows) < 200
    assert await queue.take() == [kept]


async def test_all_that_wait_can_be_failed_at_once():
    queue = batcher()
    waiting = [put(queue, ask=ask) for ask in ASKS]
    queue.fail_all(Transient("engine_stopped"))
    assert {one.answer.exception().code for one in waiting} == {"engine_stopped"}
    later = put(queue)
    assert await queue.take() == [later]
