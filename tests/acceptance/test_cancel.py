"""What is left of a job that is cancelled in the middle? Its record, one event, and nothing else."""

from __future__ import annotations

import pytest

from tests.acceptance.midway import midway
from tests.acceptance.site import Site
from tiro.adapters.temporal.names import job_workflow_id
from tiro.model.errors import Conflict

SECONDS = 300


async def _check_cancelled(site: Site, job_id: str) -> None:
    """Once in the record, once to its owner, no content, and no more charged than was heard."""
    await site.ended(job_id, "cancelled")
    await site.closed(job_workflow_id(job_id, 1))
    await site.delivered(job_id)
    job = await site.job(job_id)
    assert [name for name in site.objects(job_id) if not name.startswith("events/")] == []
    assert len(site.objects(job_id)) == 1
    assert job.spans_total is not None
    assert job.billed_s == SECONDS * job.spans_done // job.spans_total
    assert len(site.sink.sent) == 1
    await site.audit(job_id)


@pytest.mark.promise("J5")
async def test_an_owner_cancels_in_the_middle(site: Site) -> None:
    """Cancelled at once; again it is the same job; nothing is left of it."""
    async with site.relay():
        job_id, _, _ = await midway(site, SECONDS)
        once = await site.house.jobs.cancel(job_id)
        twice = await site.house.jobs.cancel(job_id)
        assert once.state == twice.state == "cancelled"
        assert once.ended_at == twice.ended_at
        await _check_cancelled(site, job_id)


async def test_an_operator_cancels_the_workflow_itself(site: Site) -> None:
    """Temporal's own cancel, as from its UI or its command line, means the same."""
    async with site.relay():
        job_id, _, _ = await midway(site, SECONDS)
        await site.client.get_workflow_handle(job_workflow_id(job_id, 1)).cancel()
        await _check_cancelled(site, job_id)


async def test_what_has_ended_cannot_be_cancelled(site: Site) -> None:
    """The transcript stays, and its charge."""
    async with site.relay():
        await site.working()
        job_id = await site.submit(5)
        await site.ended(job_id)
        with pytest.raises(Conflict):
            await site.house.jobs.cancel(job_id)
        await site.delivered(job_id)
    await site.audit(job_id, seconds=5)
