"""What does it cost when Temporal is gone for a while? Time, never a job: what was accepted before and meanwhile is finished."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.processes import Child
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.adapters.temporal.binary import find_binary
from tiro.adapters.temporal.client import connect, is_serving
from tiro.adapters.temporal.devserver import free_port, server_arguments
from tiro.model.temporal import TemporalAccess

OUTAGE_S = float(os.environ.get("ACCEPTANCE_OUTAGE_S", "10"))
"""Set it to 60 for the whole minute that is promised; what must come back is the same."""


@pytest.mark.promise("J24")
async def test_jobs_accepted_before_and_during_an_outage_of_temporal_are_finished_after_it(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    """It is killed while a station works, and comes back on its file."""
    access = TemporalAccess(address=f"127.0.0.1:{free_port()}")
    site = await make_site(await connect(access), TEMPORAL_ADDRESS=str(access.address), TEMPORAL_NAMESPACE="default")
    temporal = await _temporal(site, access, tmp_path / "temporal.db")
    gate = site.folder / "gate"
    await site.working(hold=str(gate))
    _, address = await site.serving()
    before = await site.post(address, content=wav(numbered(10)))

    async def at_work() -> bool:
        return await site.running(before, "transcribe") == 1

    await site.until(at_work, "the worker hears the first job")
    temporal.kill()
    during = await site.post(address, content=wav(numbered(7)))
    gate.touch()
    await asyncio.sleep(OUTAGE_S)
    assert (await site.job(during)).state == "queued"
    assert not (await site.job(before)).ended
    await _temporal(site, access, tmp_path / "temporal.db")
    for job_id, seconds in ((before, 10), (during, 7)):
        await site.ended(job_id)
        await site.delivered(job_id)
        await site.audit(job_id, seconds=seconds)
    assert [call.job_id for call in site.calls()].count(before) == 1


async def _temporal(site: Site, access: TemporalAccess, database: Path) -> Child:
    """A server on this file, once it can be talked to."""
    binary = find_binary(os.environ)
    assert binary is not None, (
        "The tests need a Temporal server: run 'make test' once, it builds the command and keeps it."
    )
    port = int(str(access.address).rpartition(":")[2])
    arguments = server_arguments(port=port, ui_port=None, database=database)
    child = site.processes.start("temporal", [str(binary), *arguments], site.environ)
    await site.until(lambda: is_serving(access), "Temporal answers", 60)
    return child
