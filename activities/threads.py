"""How blocking work runs beside the event loop and ends when it is no longer wanted: in threads, told by an event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeVar, cast

T = TypeVar("T")
_END: Any = object()


class Threads:
    """Runs calls in an executor. A cancelled caller sets the call's `stop` and waits for the thread: nothing works on behind its back."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """A short call, in a thread, waited for even when cancelled."""
        return await self._awaited(threading.Event(), lambda: call(*args))

    async def run_stoppable(self, call: Callable[[threading.Event], T]) -> T:
        """A long call; `stop` is set when it is no longer wanted."""
        stop = threading.Event()
        return await self._awaited(stop, lambda: call(stop))

    async def iterate(self, make: Callable[[threading.Event], Iterator[T]]) -> AsyncGenerator[T, None]:
        """What a blocking iterator yields, one step at a time; it is closed in a thread, whatever ends the loop."""
        stop = threading.Event()
        iterator = await self._awaited(stop, lambda: make(stop))
        try:
            while True:
                item = await self._awaited(stop, lambda: next(iterator, _END))
                if item is _END:
                    return
                yield cast("T", item)
                # the caller may have let it go: it is not to stay while the next one is made
                del item
        finally:
            stop.set()
            close = getattr(iterator, "close", None)
            if close is not None:
                await self._awaited(stop, close)

    async def _awaited(self, stop: threading.Event, call: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._executor, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise
