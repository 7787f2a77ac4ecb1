"""The main paths of batches and of their pages, for record.py."""

from __future__ import annotations

import asyncio
import contextlib

from temporalio.client import Client, WorkflowFailureError

from activities.batch_tasks import Brought, HeardPack, Ingested, IngestPackTask, Pack, TranscribePackTask
from tests.workflows.batch_stations import BATCH, ScriptedBatch, start_batch
from tests.workflows.stations import beat, failure, working
from tiro.adapters.temporal import names
from tiro.model.hook import DeliveryTask


async def batch(client: Client) -> str:
    """Three pages, steered on the way; a webhook is started."""
    stations, may_hear = ScriptedBatch(files=230), asyncio.Event()
    stations.delivery = DeliveryTask("evt_batch", (0.0,))

    async def listen(task: TranscribePackTask) -> HeardPack:
        beats = asyncio.create_task(beat())
        await may_hear.wait()
        beats.cancel()
        return HeardPack()

    stations.listen = listen
    async with working(client, stations):
        handle = await start_batch(client)
        while not stations.asked("transcribe_pack"):
            await asyncio.sleep(0.1)
        await handle.execute_update("reprioritize", 2)
        await handle.execute_update("pause")
        may_hear.set()
        await handle.execute_update("resume")
        await handle.result()
    return handle.id


async def batch_cancelled(client: Client) -> str:
    """In the middle of hearing; cleaned up."""
    stations, hearing = ScriptedBatch(files=230), asyncio.Event()

    async def listen(task: TranscribePackTask) -> HeardPack:
        hearing.set()
        beats = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        finally:
            beats.cancel()
        return HeardPack()

    stations.listen = listen
    async with working(client, stations):
        handle = await start_batch(client)
        await hearing.wait()
        await handle.cancel()
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
    return handle.id


async def batch_failed(client: Client) -> str:
    """A page ends it."""
    stations = ScriptedBatch(files=230)
    stations.make = _refuse
    async with working(client, stations):
        handle = await start_batch(client)
        await handle.result()
    return handle.id


async def batch_refused(client: Client) -> str:
    """What was handed in is not what was declared."""
    stations = ScriptedBatch()
    stations.check = lambda: _refuse(None)
    async with working(client, stations):
        handle = await start_batch(client)
        await handle.result()
    return handle.id


async def page(client: Client) -> str:
    """Packs and a long file; one file is asked for again, one heard again, one by the next engine; paused on the way."""
    stations, may_make = ScriptedBatch(files=30), asyncio.Event()

    async def listen(task: TranscribePackTask) -> HeardPack:
        await may_make.wait()
        if task.files == (0, 1, 2, 3):
            return HeardPack(again=(1,), passed=(2,))
        return HeardPack()

    def make(task: IngestPackTask) -> Ingested:
        if task.files == (4,):
            return Ingested(packs=(Pack("1-00004-0123456789ab", (4,)),))
        if task.files[0] == 0:
            packs = (Pack("1-00000-0123456789ab", (0, 1, 2, 3)), Pack("1-00005-0123456789ab", task.files[5:]))
            return Ingested(packs=packs, again=(4,))
        return Ingested(packs=(Pack("1-00026-0123456789ab", task.files[1:]),), long=task.files[:1])

    stations.listen, stations.make = listen, make
    async with working(client, stations):
        handle = await start_batch(client)
        while not stations.asked("transcribe_pack"):
            await asyncio.sleep(0.1)
        await handle.execute_update("pause")
        await handle.execute_update("resume")
        may_make.set()
        await handle.result()
    return names.page_workflow_id(BATCH.job_id, BATCH.run, 0)


async def page_fetched(client: Client) -> str:
    """What has an address is brought first, in two turns; one file is asked for again."""
    stations = ScriptedBatch(files=3, fetches=True)
    answers = {(0, 1, 2): Brought(later=(1,), again=(2,)), (1,): Brought(fetched_bytes=7), (2,): Brought()}
    stations.fetched = lambda task: answers[task.files]
    async with working(client, stations):
        await (await start_batch(client)).result()
    return names.page_workflow_id(BATCH.job_id, BATCH.run, 0)


async def page_cancelled(client: Client) -> str:
    """With its batch."""
    await batch_cancelled(client)
    return names.page_workflow_id(BATCH.job_id, BATCH.run, 0)


async def page_failed(client: Client) -> str:
    """Its first pack ends the batch."""
    await batch_failed(client)
    return names.page_workflow_id(BATCH.job_id, BATCH.run, 0)


def _refuse(_: object) -> Ingested:
    raise failure("insufficient_funds")


PATHS = (batch, batch_cancelled, batch_failed, batch_refused, page, page_fetched, page_cancelled, page_failed)
