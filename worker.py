"""Entrance of a worker: `python worker.py --queue control,fetch,media,speech,voices,deliver` (any subset) serves those task queues."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import click
from temporalio.client import Client
from temporalio.worker import Worker

from activities.batch import BatchFlow
from activities.delivery import Delivering
from activities.faults import Faults
from activities.files import Files
from activities.flow import Flow
from activities.pack_fetch import FETCHES, PackFetch
from activities.pack_speech import PackSpeech
from activities.packs import Packs
from activities.recording import Recording
from activities.speech import Speech
from activities.threads import Threads
from activities.voices import Voices
from activities.writing import Writing
from commands.logs import set_up_logging
from tiro.adapters.allocator import give_back_early
from tiro.adapters.priority import WORKER, step_back
from tiro.adapters.temporal.client import connect_patiently
from tiro.adapters.temporal.names import QUEUES
from tiro.model.errors import TiroError
from tiro.ports import Engine
from tiro.settings import read
from tiro.wiring import Core, Machines, build_core
from workflows.registry import WORKFLOWS, workflow_runner

GRACE = timedelta(seconds=5)
SPANS_IN_FLIGHT = 16
"""Of one job, at scale."""
_THREADS = 32
"""Beside one for every slot, whose station may hold it for hours: for the short looks into the store."""
_HOLDS = {"fetch": FETCHES}
"""Threads that one station may hold, where it is more than one."""
_FETCHING = 16
"""Stations that bring something in wait more than they work; still, some of them decode what comes."""
_ALSO = {"media": ("fetch",)}
"""They were one once: who was told to serve the one serves the other, so that nothing waits unserved after an upgrade."""
_LAST_BREATH_S = 1.5
"""A process that ran a worker aborts now and then when the interpreter ends right after the last one closed."""


def speech_slots(engines: Iterable[Engine], span_s: float) -> int:
    """Spans enough that their windows fill what the engines hear at once twice over, and one more. Known once they have started."""
    tasks = sum(2 * engine.windows_in_flight / max(1.0, span_s / engine.max_window_s) for engine in engines)
    return max(2, math.ceil(tasks) + 1)


def hearing(slots: int, *, embedded: bool) -> tuple[int, int]:
    """Slots of a worker that hears, and how many spans or packs one job or batch has in flight; `slots` keep its engines busy.

    At scale nobody here knows how many workers hear. Embedded it is this one: what one job or batch has in flight keeps it busy, and
    whoever is in a hurry finds a place beside all of that.
    """
    if not embedded:
        return slots, SPANS_IN_FLIGHT
    in_flight = max(4, 2 * slots)
    return in_flight + 1, in_flight


def served(queues: Sequence[str]) -> tuple[str, ...]:
    """What a worker serves that is told to serve these."""
    return tuple(dict.fromkeys(one for queue in queues for one in (queue, *_ALSO.get(queue, ()))))


def media_slots() -> int:
    """Decoders wait on disks and on the net."""
    return 2 * (os.cpu_count() or 1)


class Workers:
    """The workers of one process, one per queue, over one set of machines."""

    def __init__(self, core: Core, queues: Sequence[str], say: Callable[[str], None]) -> None:
        self._core = core
        self._say = say
        self._queues = served(queues)
        self._machines = Machines(core.settings, core.house.preparer, frozenset(self._queues), say)
        self._executor: ThreadPoolExecutor | None = None
        self._workers: list[Worker] = []
        self._runs: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()

    @property
    def engines(self) -> tuple[str, ...]:
        """The models that hear, in the order of the chain."""
        return tuple(engine.model for engine in self._machines.engines.values())

    @property
    def diarizer(self) -> str:
        """Which one tells mixed voices apart."""
        return self._machines.mixed.id

    async def start(self) -> None:
        """Load models, then take work."""
        client = await connect_patiently(self._core.settings.temporal, self._say)
        await self._machines.start()
        # only now do engines say how much they hear at once
        threads = _THREADS + sum(self._slots(queue) * _HOLDS.get(queue, 1) for queue in self._queues)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="station")
        for queue in self._queues:
            worker = self._worker(queue, client, self._executor)
            self._workers.append(worker)
            self._runs.append(asyncio.create_task(self._run(worker), name=f"worker-{queue}"))

    async def stop(self) -> None:
        """Take no more work, give what runs 5 s, hand back the rest, end the children."""
        await asyncio.gather(*(worker.shutdown() for worker in self._workers), return_exceptions=True)
        for run in self._runs:
            with contextlib.suppress(Exception):
                await run
        await self._machines.stop()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self._workers:
            await asyncio.sleep(_LAST_BREATH_S)

    async def _run(self, worker: Worker) -> None:
        try:
            await worker.run()
        except Exception:
            self.failed.set()
            raise

    def _worker(self, queue: str, client: Client, executor: ThreadPoolExecutor) -> Worker:
        return Worker(
            client,
            task_queue=QUEUES[queue],
            workflows=WORKFLOWS if queue == "control" else [],
            activities=self._activities(queue, Threads(executor)),
            activity_executor=executor,
            workflow_runner=workflow_runner(),
            interceptors=[Faults(self._core.house.line)],
            max_concurrent_activities=self._slots(queue),
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
            graceful_shutdown_timeout=GRACE,
            max_heartbeat_throttle_interval=timedelta(seconds=2),
            default_heartbeat_throttle_interval=timedelta(seconds=2),
        )

    def _slots(self, queue: str) -> int:
        """Few where work is heavy: what a worker has taken in advance, nobody else can take."""
        media = media_slots()
        speech, _ = self._hearing()
        few = {"fetch": max(_FETCHING, media), "media": media, "speech": speech, "voices": 1}
        return few.get(queue, 32)

    def _hearing(self) -> tuple[int, int]:
        slots = speech_slots(self._machines.engines.values(), self._core.settings.span_s)
        return hearing(slots, embedded=self._core.settings.embedded)

    def _activities(self, queue: str, threads: Threads) -> list[Callable[..., Any]]:
        match queue:
            case "control":
                return self._control(threads)
            case "fetch":
                return self._fetch(threads)
            case "media":
                return self._media(threads)
            case "speech":
                return self._speech(threads)
            case "voices":
                return self._voices(threads)
            case _:
                return [Delivering(self._core.house.hooks).attempt]

    def _control(self, threads: Threads) -> list[Callable[..., Any]]:
        core, (_, in_flight) = self._core.house, self._hearing()
        flow = Flow(core.line, core.endings, core.upkeep, in_flight)
        writing = Writing(core.line, core.blobs, core.endings, threads)
        batch = BatchFlow(core.line, core.batch_line, core.endings, core.blobs, threads, in_flight)
        files = Files(core.line, core.batch_line, core.blobs, core.orchestrator, threads)
        return [
            flow.begin, flow.note, flow.settle, flow.sweep,
            writing.merge, writing.publish, writing.finish,
            batch.begin_batch, batch.check_manifest, batch.finish_page, batch.finish_batch,
            files.open_files, files.await_file, files.close_file,
        ]  # fmt: skip

    def _fetch(self, threads: Threads) -> list[Callable[..., Any]]:
        recording = self._recording(threads)
        return [recording.fetch, recording.fetch_ahead, self._pack_fetch(threads).fetch_pack]

    def _media(self, threads: Threads) -> list[Callable[..., Any]]:
        """Orders to fetch, too: of runs that began before these had a queue of their own."""
        core, machines, recording = self._core.house, self._machines, self._recording(threads)
        fetch = self._pack_fetch(threads)
        packs = Packs(core.line, core.batch_line, core.blobs, fetch, machines.preparer, threads, machines.scratch)
        return [recording.fetch, recording.fetch_ahead, recording.ingest, packs.ingest_pack]

    def _recording(self, threads: Threads) -> Recording:
        core, machines = self._core.house, self._machines
        return Recording(
            core.line, core.blobs, core.fetcher, machines.preparer, core.orchestrator, threads, machines.scratch
        )

    def _pack_fetch(self, threads: Threads) -> PackFetch:
        core = self._core.house
        return PackFetch(core.line, core.batch_line, core.blobs, core.fetcher, threads)

    def _speech(self, threads: Threads) -> list[Callable[..., Any]]:
        core, machines = self._core.house, self._machines
        speech = Speech(core.line, core.blobs, machines.preparer, machines.engines, threads)
        packed = PackSpeech(core.line, core.batch_line, core.blobs, machines.engines, threads)
        return [speech.detect, speech.transcribe, packed.transcribe_pack]

    def _voices(self, threads: Threads) -> list[Callable[..., Any]]:
        core, machines = self._core.house, self._machines
        return [Voices(core.line, core.blobs, machines.preparer, machines.mixed, machines.separate, threads).diarize]


async def serve(queues: Sequence[str], say: Callable[[str], None]) -> None:
    """Work until SIGTERM or SIGINT."""
    core = await build_core(read(os.environ))
    workers = Workers(core, queues, say)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await core.check()
        if await _done_before(stopping, workers.start()):
            say(f"working on {', '.join(queues)}")
            await _first_of(stopping, workers.failed)
        say("stopping: running stations have 5 s, then they are handed back")
    finally:
        await workers.stop()
        await core.close()
    if workers.failed.is_set():
        raise SystemExit(1)


async def _done_before(stopping: asyncio.Event, start: Coroutine[Any, Any, None]) -> bool:
    """Whether it came to its end: who waits for a cluster that is away can be stopped all the same."""
    starting, stopped = asyncio.create_task(start), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return False


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


@click.command()
@click.option(
    "--queue", "queues", default=",".join(QUEUES), show_default=True, help="Task queues to serve, comma separated."
)
def main(queues: str) -> None:
    """Serve task queues of Tiro until stopped."""
    wanted = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in QUEUES]
    if unknown or not wanted:
        raise click.BadParameter(f"queues are {', '.join(QUEUES)}", param_hint="--queue")
    set_up_logging(os.environ.get("TIRO_LOG") or "info")
    give_back_early()
    step_back(WORKER)
    try:
        asyncio.run(serve(wanted, lambda line: click.echo(f"worker: {line}", err=True)))
    except TiroError as error:
        raise click.ClickException(error.message) from None


if __name__ == "__main__":
    main()
