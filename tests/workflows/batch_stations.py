"""Stations of a batch that do as a test says; a long file goes the way of any recording, by the stations it inherits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from activities.batch_tasks import (
    BatchBrief,
    Brought,
    CheckedManifest,
    FetchPackTask,
    FilesTask,
    HeardPack,
    Ingested,
    IngestPackTask,
    Pack,
    PageTask,
    TranscribePackTask,
)
from activities.tasks import Run, SettledAs
from tests.workflows.stations import LAUNCH, ScriptedStations
from tiro.adapters.temporal import names
from tiro.adapters.temporal.orchestrator import TemporalOrchestrator
from tiro.model.batch import pages_of
from workflows.ending import Finished

BATCH = msgspec.structs.replace(LAUNCH, job_id="job_2", dialect="transcribe", priority=4, flags=("batch",))


class ScriptedBatch(ScriptedStations):
    """`files` in packs of a dozen; hooks change what comes of a pack."""

    def __init__(
        self, files: int = 30, engines: tuple[str, ...] = ("first", "second"), *, fetches: bool = False
    ) -> None:
        super().__init__()
        self.batch: BatchBrief | None = BatchBrief(files=files, engines=engines, page_width=4, fetches=fetches)
        self.files = files
        self.fetched: Callable[[FetchPackTask], Brought] = lambda task: Brought()
        self.make: Callable[[IngestPackTask], Ingested] = _by_the_dozen
        self.listen: Callable[[TranscribePackTask], Any] = lambda task: HeardPack()
        self.check: Callable[[], Any] = lambda: None

    @activity.defn(name="begin_batch")
    async def begin_batch(self, task: Run) -> BatchBrief | None:
        self.log.append(("begin_batch", task))
        return self.batch

    @activity.defn(name="check_manifest")
    async def check_manifest(self, task: Run) -> CheckedManifest:
        self.log.append(("check_manifest", task))
        self.check()
        return CheckedManifest(pages=tuple(range(pages_of(self.files))), known_bytes=1_000)

    @activity.defn(name="fetch_pack")
    async def fetch_pack(self, task: FetchPackTask) -> Brought:
        self.log.append(("fetch_pack", task))
        return self.fetched(task)

    @activity.defn(name="ingest_pack")
    async def ingest_pack(self, task: IngestPackTask) -> Ingested:
        self.log.append(("ingest_pack", task))
        return self.make(task)

    @activity.defn(name="transcribe_pack")
    async def transcribe_pack(self, task: TranscribePackTask) -> HeardPack:
        self.log.append(("transcribe_pack", task))
        heard = self.listen(task)
        return heard if isinstance(heard, HeardPack) else await heard

    @activity.defn(name="open_files")
    async def open_files(self, task: FilesTask) -> None:
        self.log.append(("open_files", task))

    @activity.defn(name="await_file")
    async def await_file(self, task: FilesTask) -> None:
        self.log.append(("await_file", task))

    @activity.defn(name="close_file")
    async def close_file(self, task: FilesTask) -> None:
        self.log.append(("close_file", task))

    @activity.defn(name="finish_page")
    async def finish_page(self, task: PageTask) -> None:
        self.log.append(("finish_page", task))

    @activity.defn(name="finish_batch")
    async def finish_batch(self, task: Run) -> SettledAs:
        self.log.append(("finish_batch", task))
        return SettledAs("completed", None, None, self.delivery, "host")


def _by_the_dozen(task: IngestPackTask) -> Ingested:
    dozens = [task.files[first : first + 12] for first in range(0, len(task.files), 12)]
    return Ingested(packs=tuple(Pack(f"1-{dozen[0]:05d}-0123456789ab", dozen) for dozen in dozens))


async def start_batch(client: Client) -> WorkflowHandle[Any, Any]:
    """Start a batch the way the relay does."""
    await TemporalOrchestrator(client, patience_s=10).start_batch(BATCH)
    workflow_id = names.batch_workflow_id(BATCH.job_id, BATCH.run)
    return client.get_workflow_handle(workflow_id, result_type=Finished)
