"""A whole installation for one test: PostgreSQL, a store, Temporal, processes, and this process as its owner and auditor."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from temporalio.api.enums.v1 import PendingActivityState, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError

from api.relay import Relay
from tests.acceptance.processes import Child, Processes
from tests.acceptance.sink import Sink, check_deliveries
from tests.media_builder import numbered, wav
from tiro.adapters.temporal import names
from tiro.model.account import Account
from tiro.model.batch import pages_of
from tiro.model.blob import job_prefix, source_key
from tiro.model.job import Job
from tiro.model.request import JobOptions, JobRequest, UploadedSource
from tiro.settings import read
from tiro.wiring import Core, build_core

ALL = "control,media,speech,voices,deliver"
PATIENCE_S = 150.0
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME")


class Call(msgspec.Struct, frozen=True):
    """One line of the scripted engine's log."""

    at_s: float
    pid: int
    job_id: str
    window_s: float
    words: tuple[str, ...]


class Site:
    """Starts processes with this installation's settings, submits, waits, and audits what became of jobs."""

    def __init__(self, folder: Path, environ: Mapping[str, str], client: Client) -> None:
        self.folder = folder
        self.client = client
        self.sink = Sink()
        self.processes = Processes(folder)
        self.environ = {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "TIRO_BLOBS": (folder / "blobs").as_uri(),
            "TIRO_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TIRO_ENGINES": self.engine(),
            "TIRO_DIARIZER": "scripted",
            "TIRO_SCRATCH": str(folder),
            "TIRO_SPAN_S": "60",
            "TIRO_EGRESS_ALLOW": "127.0.0.0/8",
            "TIRO_HOOK_SCALE": "0.02",
            **environ,
        }
        self.core: Core
        self.account: Account
        self.key = ""
        self.spoiled = False
        """By the test, on purpose: it need not agree in the end."""

    async def open(self) -> None:
        self.sink.start()
        self.core = await build_core(read(self.environ))
        self.account, self.key = await self.member("business")

    async def close(self) -> None:
        self.processes.end()
        self.sink.stop()
        await self.core.close()

    @property
    def house(self) -> Any:
        return self.core.house

    # --- processes ------------------------------------------------------------------------------------------------

    def engine(self, **script: str) -> str:
        """The scripted engine, one call at a time, with its log."""
        pieces = {"log": str(self.folder / "calls.jsonl"), "flight": "1", **script}
        return "scripted:" + ";".join(f"{name}={value}" for name, value in pieces.items())

    def worker(self, queues: str = ALL, **script: str) -> Child:
        """A worker that is being started."""
        return self.processes.worker({**self.environ, "TIRO_ENGINES": self.engine(**script)}, queues)

    async def working(self, queues: str = ALL, **script: str) -> Child:
        """A worker that takes work."""
        child = self.worker(queues, **script)
        await child.says("working on")
        return child

    async def serving(self, **environ: str) -> tuple[Child, str]:
        """An API that answers, and its address."""
        child = self.processes.api({**self.environ, **environ})
        said = await child.says(r"Serving .* on (127\.0\.0\.1:\d+)")
        return child, f"http://{said[1]}"

    async def serving_at(self, base: str) -> Child:
        """An API that answers at this address, which its own links name as well."""
        child = self.processes.api({**self.environ, "TIRO_PUBLIC_URL": base}, base.rpartition(":")[2])
        await child.says("Serving ")
        return child

    def relay(self) -> Any:
        """Orders are carried out by this process while the block runs."""
        return Relay(self.house.dispatch, self.house.bell, every_s=0.5).running()

    # --- jobs -----------------------------------------------------------------------------------------------------

    async def member(self, plan: str) -> tuple[Account, str]:
        """A new account, and a key of it."""
        account: Account = await self.house.accounts.create("acceptance", plan)
        return account, (await self.house.accounts.create_key(account.account_id, "acceptance")).text

    async def post(
        self, address: str, *, content: bytes, name: str = "recording.wav", key: str | None = None, **fields: str
    ) -> str:
        """Submit over HTTP, as an owner does; accepted at once. `key`: another account's."""
        async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
            answer = await http.post(
                "/jobs",
                headers={"Authorization": f"Bearer {key or self.key}"},
                files={"file": (name, content)},
                data={"language": "en", "webhook_url": self.sink.url, **fields},
            )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def submit(
        self,
        seconds: int,
        *,
        webhook: bool = True,
        short_by_s: float = 0.0,
        account: Account | None = None,
        language: str | None = "en",
    ) -> str:
        """A job with `seconds` of numbered audio, less a little at its end. `account`: another's. `language` None: auto."""
        job_id: str = self.house.intake.new_job_id()
        sound = numbered(seconds)
        recording = wav(sound[: len(sound) - round(short_by_s * 16_000)])
        blob = await asyncio.to_thread(self.house.blobs.put, source_key(job_id), recording, "audio/wav")
        await self.house.intake.submit(
            JobRequest(
                job_id=job_id,
                account_id=(account or self.account).account_id,
                dialect="jobs",
                options=JobOptions(language=language, formats=("txt", "srt")),
                source=UploadedSource(blob),
                webhook_url=self.sink.url if webhook else None,
            )
        )
        return job_id

    async def job(self, job_id: str) -> Job:
        job: Job = await self.house.jobs.get(job_id)
        return job

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, within_s: float = PATIENCE_S) -> None:
        """Look again and again until it holds; with the logs of all processes when it never does."""
        deadline = time.monotonic() + within_s
        while not await holds():
            assert time.monotonic() < deadline, f"never: {what}\n{self.processes.logs}"
            await asyncio.sleep(0.1)

    async def ended(self, job_id: str, state: str = "completed") -> Job:
        """The job once its run has ended, in this state."""

        async def holds() -> bool:
            return (await self.job(job_id)).ended

        await self.until(holds, f"{job_id} ends")
        job = await self.job(job_id)
        assert job.state == state, f"{job}\n{self.processes.logs}"
        return job

    async def running(self, job_id: str, station: str) -> int:
        """How many activities of this kind a worker has at this moment."""
        return (await self._pending(job_id, station)).count(PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)

    async def waiting(self, job_id: str, station: str) -> int:
        """How many activities of this kind wait for a worker."""
        return (await self._pending(job_id, station)).count(PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED)

    async def _pending(self, job_id: str, station: str) -> list[int]:
        try:
            described = await self.client.get_workflow_handle(names.job_workflow_id(job_id, 1)).describe()
        except RPCError:
            return []
        pending = described.raw_description.pending_activities
        return [one.state for one in pending if one.activity_type.name == station]

    async def closed(self, workflow_id: str) -> None:
        """Its workflow has ended, too."""

        async def holds() -> bool:
            status = (await self.client.get_workflow_handle(workflow_id).describe()).status
            return status is not None and status.name != "RUNNING"

        await self.until(holds, f"{workflow_id} is closed")

    # --- what is found afterwards -----------------------------------------------------------------------------------

    def calls(self, job_id: str | None = None) -> list[Call]:
        """What the engine was asked so far, by all processes."""
        log = self.folder / "calls.jsonl"
        lines = log.read_bytes().splitlines() if log.exists() else []
        calls = [msgspec.json.decode(line, type=Call) for line in lines]
        return [call for call in calls if job_id in (None, call.job_id)]

    async def words(self, job: Job) -> list[str]:
        """The transcript, word by word."""
        transcript = await self.house.jobs.transcript(job)
        return [word.text for segment in transcript.segments for word in segment.words]

    def objects(self, job_id: str) -> list[str]:
        """What is left of the job in the store, without its prefix."""
        prefix = job_prefix(job_id)
        return [info.key.removeprefix(prefix) for info in self.house.blobs.list(prefix)]

    async def history(self, workflow_id: str) -> WorkflowHistory:
        return await self.client.get_workflow_handle(workflow_id).fetch_history()

    async def histories(self, job_id: str) -> list[WorkflowHistory]:
        """Of the job's run and of its deliveries."""
        job = await self.job(job_id)
        ids = [one for run in range(1, job.run + 1) for one in _workflows_of(job, run)]
        ids += [
            names.delivery_workflow_id(delivery.event_id) for delivery, _ in await self.house.jobs.deliveries(job_id)
        ]
        return [await self.history(workflow_id) for workflow_id in ids]

    async def charges(self, job_id: str) -> list[tuple[str, int]]:
        """(kind, seconds) of the job's lines in the ledger."""
        account_id = (await self.job(job_id)).account_id
        async with self.house.records.begin() as tx:
            entries = await tx.ledger.entries(account_id)
        return [(entry.kind, entry.included_s + entry.overage_s) for entry in entries if entry.job_id == job_id]

    async def delivered(self, job_id: str, state: str = "delivered") -> None:
        """The one event of the job has reached this state."""

        async def holds() -> bool:
            return [delivery.state for delivery, _ in await self.house.jobs.deliveries(job_id)] == [state]

        await self.until(holds, f"the event of {job_id} is {state}")

    async def audit(self, job_id: str, *, seconds: int | None = None) -> None:
        """What holds of every job that has ended, whatever happened to it on its way; `seconds`: it was completed."""
        job = await self.job(job_id)
        charges = await self.charges(job_id)
        kinds = Counter(kind for kind, _ in charges)
        assert kinds["hold"] <= 1
        assert kinds["capture"] + kinds["release"] == kinds["hold"]
        if seconds is not None:
            assert await self.words(job) == [f"w{n}" for n in range(seconds)]
            assert dict(charges) == {"hold": seconds, "capture": seconds}
        assert not job.admitted
        sent = self.sink.of_job(job_id)
        assert bool(sent) == (job.webhook_url is not None)
        check_deliveries(sent, await self.house.accounts.webhook_secret(job.account_id))
        for history in await self.histories(job_id):
            check_history(history)

    async def check_agrees(self) -> None:
        """Database, Temporal, store and ledgers say the same, whatever was killed and whatever is still under way."""
        audited = await self.house.audit.look()
        assert (audited.findings, audited.unchecked) == ((), {}), self.processes.logs


def _workflows_of(job: Job, run: int) -> list[str]:
    """Of a batch its own and those of its pages; those of its long files are theirs."""
    if not job.is_batch:
        return [names.job_workflow_id(job.job_id, run)]
    pages = range(pages_of(job.files_total or 0))
    return [
        names.batch_workflow_id(job.job_id, run),
        *(names.page_workflow_id(job.job_id, run, page) for page in pages),
    ]


def check_history(history: WorkflowHistory) -> None:
    """No workflow task ever failed: a bug in a workflow shows as nothing else."""
    for event in history.events:
        if event.HasField("workflow_task_failed_event_attributes"):
            failed = event.workflow_task_failed_event_attributes
            if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND:
                continue  # something came in (its delivery had ended) while it was ending: Temporal asks it once more
            message = failed.failure.message
            assert "[TMPRL1101]" in message, f"{history.workflow_id}: {message}"
