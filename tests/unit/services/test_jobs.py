"""What is an owner told who asks for a transcript that failed, or removes what is just ending?"""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.services.desk import Desk
from tiro.model.errors import NotFound, Permanent
from tiro.services.ending import Fault


@pytest.mark.promise("J31")
async def test_a_failed_jobs_transcript_is_its_error_with_its_reason_and_extras(desk: Desk) -> None:
    """The extras of a refused recording name the reason too."""
    await desk.running(await desk.account())
    extras = {"reason": "duration_exceeds_limit", "limit_s": 1800}
    ended = await desk.endings.end("job_1", 1, "failed", Fault("invalid_audio", "duration_exceeds_limit", extras))
    with pytest.raises(Permanent) as refused:
        await desk.jobs.transcript(ended.job)
    assert (refused.value.code, refused.value.extras) == ("invalid_audio", extras)


@pytest.mark.promise("J5")
async def test_a_job_that_ends_while_it_is_deleted_is_deleted_as_an_ended_one(desk: Desk) -> None:
    """Between the look at its state and the cancelling it completes: that is no conflict for whoever wants it gone."""
    job = await desk.running(await desk.account())
    deleted, _ = await asyncio.gather(desk.jobs.delete(job.job_id), desk.endings.end(job.job_id, 1, "completed"))
    assert deleted is None
    with pytest.raises(NotFound):
        await desk.jobs.get(job.job_id, job.account_id)
