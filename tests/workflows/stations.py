"""Stations that do as a test says: the same names, inputs and outputs as the real ones, and a log of what was asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import msgspec
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Interceptor, Worker

from activities.faults import Told
from activities.tasks import (
    AttemptTask,
    Brief,
    DetectTask,
    DiarizeTask,
    FetchTask,
    HeardSpan,
    IngestTask,
    MergeTask,
    Prepared,
    Run,
    SettledAs,
    SettleTask,
    TranscribeTask,
)
from tiro.adapters.temporal import names
from tiro.adapters.temporal.orchestrator import TemporalOrchestrator
from tiro.model.hook import DeliveryTask
from tiro.ports import Launch
from tiro.services.hooks import Tried
from tiro.services.upkeep import Swept
from workflows.ending import Finished
from workflows.fetch import Brought
from workflows.registry import WORKFLOWS, workflow_runner

PLAN = "plan"


def failure(code: str, *, passing: bool = False) -> ApplicationError:
    """What the faults interceptor makes of an error that is for good."""
    return ApplicationError(code, msgspec.to_builtins(Told(code, passing)), type=code, non_retryable=True)


class ScriptedStations:
    """`spans` with speech, `announced` one by one or handed over whole. Hooks per station change what happens."""

    def __init__(self, *, spans: int = 1, announce: bool = False, brief: Brief | None = None) -> None:
        self.brief: Brief | None = brief or Brief(
            from_url=False, language="en", diarize=True, engines=("first", "second"), detects=True
        )
        self.spans = tuple(range(spans))
        self.announce = announce
        self.log: list[tuple[str, Any]] = []
        self.running = 0
        self.most_running = 0
        self.hear: Callable[[TranscribeTask], Any] | None = None
        self.voices: Callable[[], Any] | None = None
        self.cut: Callable[[], Any] | None = None
        self.bring: Callable[[], Any] | None = None
        self.close: Callable[[], Any] | None = None
        self.delivery: DeliveryTask | None = None
        self.answers: list[str] = ["delivered"]

    def asked(self, name: str) -> list[Any]:
        """Inputs of the calls of one station."""
        return [task for station, task in self.log if station == name]

    @activity.defn(name="begin")
    async def begin(self, task: Run) -> Brief | None:
        self.log.append(("begin", task))
        return self.brief

    @activity.defn(name="note")
    async def note(self, run: Run, stage: str, paused: bool) -> None:
        self.log.append(("note", (stage, paused)))

    @activity.defn(name="fetch")
    async def fetch(self, task: FetchTask) -> None:
        self.log.append(("fetch", task))
        if self.bring:
            await _maybe(self.bring())

    @activity.defn(name="fetch_ahead")
    async def fetch_ahead(self, task: Run) -> None:
        self.log.append(("fetch_ahead", task))
        if self.bring:
            await _maybe(self.bring())

    @activity.defn(name="ingest")
    async def ingest(self, task: IngestTask) -> Prepared:
        self.log.append(("ingest", task))
        if self.cut:
            await _maybe(self.cut())
        if self.announce:
            await announce(PLAN, *self.spans)
        return Prepared(plan=PLAN, layout="mono", decoded_s=600.0, speech_s=500.0, spans=self.spans)

    @activity.defn(name="detect")
    async def detect(self, task: DetectTask) -> str | None:
        self.log.append(("detect", task))
        return "de"

    @activity.defn(name="transcribe")
    async def transcribe(self, task: TranscribeTask) -> list[HeardSpan]:
        self.log.append(("transcribe", task))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        beats = asyncio.create_task(beat())
        try:
            if self.hear:
                await _maybe(self.hear(task))
            return [HeardSpan(index, task.engine) for index in task.spans]
        except asyncio.CancelledError:
            self.log.append(("cancelled", task.spans))
            raise
        finally:
            beats.cancel()
            self.running -= 1

    @activity.defn(name="diarize")
    async def diarize(self, task: DiarizeTask) -> str:
        self.log.append(("diarize", task))
        if self.voices:
            await _maybe(self.voices())
        return "scripted"

    @activity.defn(name="merge")
    async def merge(self, task: MergeTask) -> None:
        self.log.append(("merge", task))

    @activity.defn(name="publish")
    async def publish(self, task: Run) -> None:
        self.log.append(("publish", task))

    @activity.defn(name="finish")
    async def finish(self, task: MergeTask) -> SettledAs:
        self.log.append(("finish", task))
        return SettledAs("completed", None, 12.4, self.delivery, "host")

    @activity.defn(name="settle")
    async def settle(self, task: SettleTask) -> SettledAs:
        self.log.append(("settle", task))
        if self.close:
            await _maybe(self.close())
        return SettledAs(task.outcome, task.code, 600.0, self.delivery, "host")

    @activity.defn(name="sweep")
    async def sweep(self) -> Swept:
        return Swept(1, 2, 3)

    @activity.defn(name="attempt")
    async def attempt(self, task: AttemptTask) -> Tried:
        self.log.append(("attempt", task))
        state = self.answers[min(task.number, len(self.answers)) - 1]
        return Tried(task.event_id, state)  # type: ignore[arg-type]


async def _maybe(value: Any) -> None:
    if asyncio.iscoroutine(value):
        await value


async def announce(plan: str, *spans: int) -> None:
    """As fetch and ingest do, from within a station."""
    handle = activity.client().get_workflow_handle(activity.info().workflow_id)
    for index in spans:
        await handle.signal("span_ready", args=[plan, index])


async def beat() -> None:
    """For a station that lasts; so it hears that it is cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def working(client: Client, stations: ScriptedStations, *interceptors: Interceptor) -> AsyncIterator[None]:
    """All queues served, in the namespace of this test."""
    activities = [
        getattr(stations, name)
        for name in dir(type(stations))
        if hasattr(getattr(type(stations), name), "__temporal_activity_definition")
    ]
    async with contextlib.AsyncExitStack() as stack:
        for queue in names.QUEUES.values():
            worker = Worker(
                client,
                task_queue=queue,
                workflows=WORKFLOWS if queue == names.CONTROL else [],
                activities=activities,
                workflow_runner=workflow_runner(),
                interceptors=interceptors,
                default_heartbeat_throttle_interval=timedelta(seconds=1),
                max_heartbeat_throttle_interval=timedelta(seconds=1),
            )
            await stack.enter_async_context(worker)
        yield


LAUNCH = Launch(
    job_id="job_1", run=1, account_id="acct_1", dialect="jobs", weight=1.0, flags=("diarize",), summary="test"
)


async def start_fetch(client: Client) -> WorkflowHandle[Any, Any]:
    """Start a fetch ahead the way the relay does."""
    await TemporalOrchestrator(client, patience_s=10).start_fetch(LAUNCH)
    workflow_id = names.fetch_workflow_id(LAUNCH.job_id, LAUNCH.run)
    return client.get_workflow_handle(workflow_id, result_type=Brought)


async def start(client: Client, launch: Launch = LAUNCH) -> WorkflowHandle[Any, Any]:
    """Start a transcription the way the relay does."""
    orchestrator = TemporalOrchestrator(client, patience_s=10)
    await orchestrator.start_transcription(launch)
    return client.get_workflow_handle(names.job_workflow_id(launch.job_id, launch.run), result_type=Finished)
