"""A job that stands in the middle, and stays there: two of its spans are held by a worker that never answers, all others are done."""

from __future__ import annotations

from tests.acceptance.processes import Child
from tests.acceptance.site import Site

HELD = 2
"""Slots of a worker whose engine hears one window at a time."""


async def midway(site: Site, seconds: int, short_by_s: float = 0.0) -> tuple[str, Child, Child]:
    """The job, the worker that holds two of its spans, and the one that has heard the rest. Orders must be carried out meanwhile."""
    holder = await site.working("speech", hold=str(site.folder / "never"))
    await site.working("control,media,voices,deliver")
    job_id = await site.submit(seconds, short_by_s=short_by_s)

    async def held() -> bool:
        return await site.running(job_id, "transcribe") == HELD

    async def all_but_held() -> bool:
        job = await site.job(job_id)
        return job.spans_total is not None and job.spans_done == job.spans_total - HELD

    await site.until(held, "the first worker is at two spans")
    other = await site.working("speech")
    await site.until(all_but_held, "the other has heard all the rest")
    return job_id, holder, other
