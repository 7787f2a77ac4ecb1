"""What is a workflow told of the end of its run when the job is at its next one already?"""

from __future__ import annotations

from typing import Any

from activities.flow import settled_as
from tests.servers.databases import SteppedClock
from tiro.model.job import Job
from tiro.model.request import JobOptions, UrlSource
from tiro.services.ending import Settled


async def test_a_run_that_was_followed_by_another_had_failed() -> None:
    """`queued` is no outcome, and a workflow could not read it."""
    moment = SteppedClock().now()
    fields: dict[str, Any] = {"account_id": "acct_1", "dialect": "jobs", "created_at": moment, "changed_at": moment}
    again = Job(job_id="job_1", options=JobOptions(), source=UrlSource(b""), run=2, **fields)
    assert settled_as(Settled(again), None).outcome == "failed"  # type: ignore[arg-type]
