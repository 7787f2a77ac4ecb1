"""Does blocking work end when it is no longer wanted, and does nobody go on before it has?"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from activities.threads import Threads

PATIENCE_S = 10


@pytest.fixture
def threads() -> Iterator[Threads]:
    with ThreadPoolExecutor(2) as executor:
        yield Threads(executor)


async def test_a_cancelled_caller_waits_until_the_thread_has_ended(threads: Threads) -> None:
    """A short call is not told to stop; whoever is cancelled goes on only when it is over."""
    began, may_end, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(PATIENCE_S)
        ended.set()

    call = asyncio.create_task(threads.run(work))
    await began.wait()
    call.cancel()
    await asyncio.sleep(0)
    assert not call.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


async def test_a_long_call_is_told_to_stop_when_its_caller_is_cancelled(threads: Threads) -> None:
    """By its event; nothing else ends it."""
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    stopped: list[bool] = []

    def work(stop: threading.Event) -> None:
        loop.call_soon_threadsafe(began.set)
        stopped.append(stop.wait(PATIENCE_S))

    call = asyncio.create_task(threads.run_stoppable(work))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert stopped == [True]


async def test_an_error_after_the_cancel_is_not_mistaken_for_the_cause(threads: Threads) -> None:
    """Who is cancelled hears of the cancel, not of what the thread said on its way out."""
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(stop: threading.Event) -> None:
        loop.call_soon_threadsafe(began.set)
        stop.wait(PATIENCE_S)
        raise OSError("interrupted")

    call = asyncio.create_task(threads.run_stoppable(work))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_error_of_the_work_reaches_the_caller(threads: Threads) -> None:
    """As it is."""
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


class Steps:
    """An iterator that says whether it was closed, and whether it was told to stop before."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.closed_after_stop: list[bool] = []
        self._steps = iter(range(3))

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> int:
        return next(self._steps)

    def close(self) -> None:
        self.closed_after_stop.append(self.stop.is_set())


async def test_an_iterator_gives_all_its_steps_and_is_closed(threads: Threads) -> None:
    """In order, once."""
    made: list[Steps] = []

    def make(stop: threading.Event) -> Steps:
        made.append(Steps(stop))
        return made[-1]

    assert [step async for step in threads.iterate(make)] == [0, 1, 2]
    assert made[0].closed_after_stop == [True]


class Sound:
    """Something large; tells when nobody holds it any more."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        weakref.finalize(self, self.gone.set)


async def test_a_step_that_its_caller_lets_go_is_gone_while_the_next_one_is_made(threads: Threads) -> None:
    """Nobody else holds it."""
    gone: list[bool] = []

    def make(_: threading.Event) -> Iterator[Sound]:
        for _number in range(3):
            sound = Sound()
            let_go = sound.gone
            yield sound
            del sound
            gone.append(let_go.wait(PATIENCE_S))

    async for step in threads.iterate(make):
        assert isinstance(step, Sound)
        del step
    assert gone == [True] * 3


async def test_an_iterator_that_is_left_in_the_middle_is_told_to_stop_and_closed(threads: Threads) -> None:
    """Whatever the loop's body raises."""
    made: list[Steps] = []

    def make(stop: threading.Event) -> Steps:
        made.append(Steps(stop))
        return made[-1]

    steps = threads.iterate(make)
    assert await anext(steps) == 0
    await steps.aclose()
    assert made[0].closed_after_stop == [True]
