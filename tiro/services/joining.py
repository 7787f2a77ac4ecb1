"""Is this the request of a moment ago, whose answer was lost? Then the job that it made then is its answer now."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tiro.model.errors import NotFound
from tiro.model.job import Job
from tiro.model.replay import Replay
from tiro.services.jobs import Jobs
from tiro.services.replays import Once, name_of


async def joined(
    jobs: Jobs, hand_in: Callable[[Once], Awaitable[Job | Replay]], name: str, asked: str, within: timedelta
) -> Job:
    """The new job, or the one that the same request made so soon before: unless that has failed, and this is another attempt.

    `name`: as `name_of` made it of who asks, and for what; `asked`: all that is asked, in one digest.
    """
    while True:
        taken = await hand_in(Once(name, asked, lambda job: job.job_id.encode(), within))
        if isinstance(taken, Job):
            return taken
        before = taken.answer.decode()
        with contextlib.suppress(NotFound):
            job = await jobs.get(before)
            if job.state not in {"failed", "cancelled"}:
                return job
        # each attempt has a name of its own: of two that come after the same failure, the second joins the first
        name = name_of(before, "", name)
