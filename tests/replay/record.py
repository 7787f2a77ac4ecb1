"""Records the histories that test_replay.py replays: `python -m tests.replay.record` runs every main path on a Temporal of its own.

Names behind it are the only paths that are recorded.

Record again only after a change was gated (see test_replay.py): what is recorded here is what runs under way have behind them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.tasks import Brief, TranscribeTask
from tests.replay import batches
from tests.replay.commands import FINGERPRINTS, fingerprints
from tests.workflows.stations import PLAN, ScriptedStations, announce, failure, start, start_fetch, working
from tiro.adapters.temporal import names
from tiro.adapters.temporal.binary import get_binary
from tiro.adapters.temporal.converter import DATA_CONVERTER
from tiro.adapters.temporal.devserver import DevServer, DevServerPlace, free_port
from tiro.model.hook import DeliveryTask

HISTORIES = Path(__file__).parent / "histories"
Way = Callable[[Client], Awaitable[str]]
"""Goes one path and returns the id of its workflow."""


async def short(client: Client) -> str:
    """One activity hears all; a webhook is started."""
    stations = ScriptedStations(spans=2)
    stations.delivery = DeliveryTask("evt_short", (0.0,))
    async with working(client, stations):
        return await _ended(await start(client))


async def long(client: Client) -> str:
    """Fetched, voted on, heard span by span, left by the first engine in the middle; steered on its way."""
    may_cut = asyncio.Event()

    async def hear(task: TranscribeTask) -> None:
        if task.engine == "first" and task.spans[0] >= 2:
            raise failure("transient_error", passing=True)

    brief = Brief(from_url=True, language=None, diarize=True, engines=("first", "second"), detects=True)
    stations = ScriptedStations(spans=5, announce=True, brief=brief)
    stations.cut, stations.hear = may_cut.wait, hear
    async with working(client, stations):
        handle = await start(client)
        await handle.execute_update("reprioritize", 2)
        await handle.execute_update("pause")
        may_cut.set()
        while not (await handle.query("progress"))["spans_final"]:
            await asyncio.sleep(0.1)
        await handle.execute_update("resume")
        return await _ended(handle)


async def renewed(client: Client) -> str:
    """Cut while it was fetched; a second attempt at that was given another recording."""
    brief = Brief(from_url=True, language=None, diarize=False, engines=("first",), detects=True)
    stations = ScriptedStations(spans=2, announce=True, brief=brief)
    heard = asyncio.Event()

    async def bring() -> None:
        await announce("other", 0)
        await heard.wait()
        await announce(PLAN, 0)

    stations.hear, stations.bring = lambda task: heard.set(), bring
    async with working(client, stations):
        return await _ended(await start(client))


async def cancelled(client: Client) -> str:
    """In the middle of hearing; cleaned up."""
    hearing = asyncio.Event()

    async def hear(task: TranscribeTask) -> None:
        hearing.set()
        await asyncio.Event().wait()

    stations = ScriptedStations(spans=3, announce=True)
    stations.hear = hear
    async with working(client, stations):
        handle = await start(client)
        await hearing.wait()
        await handle.cancel()
        return await _ended(handle)


async def failed(client: Client) -> str:
    """The recording is refused."""
    stations = ScriptedStations()
    stations.cut = _refuse
    async with working(client, stations):
        return await _ended(await start(client))


async def without_voices(client: Client) -> str:
    """The diarizer fails, the rest goes on."""
    stations = ScriptedStations(spans=2, announce=True)
    stations.voices = _refuse
    async with working(client, stations):
        return await _ended(await start(client))


async def superseded(client: Client) -> str:
    """Not wanted any more when it begins."""
    stations = ScriptedStations()
    stations.brief = None
    async with working(client, stations):
        return await _ended(await start(client))


async def ahead(client: Client) -> str:
    """The recording of a job that waits comes in."""
    async with working(client, ScriptedStations()):
        return await _ended(await start_fetch(client))


async def refused_ahead(client: Client) -> str:
    """Its address opens nothing: the job ends before it had begun, and a webhook is started."""
    stations = ScriptedStations()
    stations.bring = _refuse
    stations.delivery = DeliveryTask("evt_ahead", (0.0,))
    async with working(client, stations):
        return await _ended(await start_fetch(client))


async def delivery(client: Client) -> str:
    """Taken at the third attempt, after a short and a longer wait."""
    stations = ScriptedStations()
    stations.answers = ["pending", "pending", "delivered"]
    async with working(client, stations):
        task = DeliveryTask("evt_1", (0.0, 0.5, 3.0, 6.0))
        return await _ended(
            await client.start_workflow(names.DELIVERY, task, id="deliver/evt_1", task_queue=names.CONTROL)
        )


async def exhausted(client: Client) -> str:
    """Never taken."""
    stations = ScriptedStations()
    stations.answers = ["pending", "exhausted"]
    async with working(client, stations):
        task = DeliveryTask("evt_2", (0.0, 0.5))
        return await _ended(
            await client.start_workflow(names.DELIVERY, task, id="deliver/evt_2", task_queue=names.CONTROL)
        )


async def upkeep(client: Client) -> str:
    """One sweep."""
    async with working(client, ScriptedStations()):
        return await _ended(await client.start_workflow(names.UPKEEP, id="upkeep", task_queue=names.CONTROL))


PATHS: tuple[Way, ...] = (
    short, long, renewed, cancelled, failed, without_voices, superseded, ahead, refused_ahead, delivery, exhausted, upkeep,
    *batches.PATHS,
)  # fmt: skip


async def _refuse() -> None:
    raise failure("invalid_audio")


async def _ended(handle: WorkflowHandle[object, object]) -> str:
    try:
        await handle.result()
    except WorkflowFailureError:
        assert (await handle.describe()).status.name == "CANCELED"  # type: ignore[union-attr]
    return handle.id


async def record(client: Client, path: Way) -> None:
    """Run it and write its history. Paths have ids in common: each needs a server, or a namespace, of its own."""
    workflow_id = await path(client)
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    text = json.dumps(_without_traces(history.to_json_dict()), indent=1, sort_keys=True)
    (HISTORIES / f"{path.__name__}.json").write_text(text + "\n")


def _without_traces(piece: Any) -> Any:
    """Tracebacks name folders of the machine that recorded, and mean nothing to a replay."""
    if isinstance(piece, dict):
        return {name: _without_traces(value) for name, value in piece.items() if name != "stackTrace"}
    return [_without_traces(value) for value in piece] if isinstance(piece, list) else piece


async def main() -> None:
    """All paths, each on a server that knows nothing of the others, then the fingerprints."""
    HISTORIES.mkdir(exist_ok=True)
    for path in (path for path in PATHS if not sys.argv[1:] or path.__name__ in sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            place = DevServerPlace(None, Path(folder) / "log", free_port(), free_port())
            server = DevServer(await get_binary(os.environ, print), place)
            await server.start()
            client = await Client.connect(place.address, data_converter=DATA_CONVERTER, identity="recorder")
            await record(client, path)
            await server.stop()
            print(f"{path.__name__}: recorded")
    FINGERPRINTS.write_text(json.dumps(fingerprints(), indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
