"""What is an owner told who asks for a transcript that failed, or removes what is just ending?"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.unit.services.desk import Desk
from tiro.model.blob import file_id
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


async def test_a_batch_has_no_transcript_of_its_own(desk: Desk) -> None:
    """Its document is asked for elsewhere; here there is nothing, rather than an error of ours."""
    batch = await desk.queued(await desk.account(), files_total=3, dialect="transcribe", micros_per_hour=0)
    await desk.endings.end(batch.job_id, 1, "completed")
    with pytest.raises(NotFound):
        await desk.jobs.transcript(await desk.job(batch.job_id))


async def test_a_file_of_a_batch_is_known_to_its_owner_by_its_batch_alone(desk: Desk) -> None:
    """Operators may look at it."""
    batch = await desk.queued(await desk.account(), files_total=3, dialect="transcribe", micros_per_hour=0)
    file = msgspec.structs.replace(batch, job_id=file_id(batch.job_id, 1), batch_id=batch.job_id, files_total=None)
    async with desk.records.begin() as tx:
        await tx.jobs.open_file(file, desk.clock.now())
    assert await desk.jobs.get(file.job_id) == file
    with pytest.raises(NotFound):
        await desk.jobs.get(file.job_id, batch.account_id)
