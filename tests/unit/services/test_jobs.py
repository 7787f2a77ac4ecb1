"""What is an owner told who asks for the transcript of a job that failed?"""

from __future__ import annotations

import pytest

from tests.unit.services.desk import Desk
from tiro.model.errors import Permanent
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
