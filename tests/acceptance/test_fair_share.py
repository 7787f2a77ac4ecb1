"""Who is served first? Whoever pays for it, although others came before; and nobody waits where nothing is to do."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.adapters.temporal.names import job_workflow_id
from tiro.model.plans import DEFAULT_PLANS

SPAN_S = 60
SLOTS = 2
"""Spans at once, of a worker whose engine hears one window at a time."""
IDLE_WAIT_S = 5.0


@pytest.mark.promise("J40")
async def test_with_a_backlog_of_a_free_account_a_business_job_is_heard_next(site: Site) -> None:
    """Two long jobs of the free account lie in the speech queue and two more wait; only what is being heard already goes on."""
    gate = site.folder / "gate"
    free, _ = await site.member("free")
    async with site.relay():
        await site.working(hold=str(gate))
        backlog = [await site.submit(5 * SPAN_S, account=free) for _ in range(4)]
        await site.until(lambda: _in_line(site, backlog, 2), "all spans of two jobs of the free account stand in line")
        business = await site.submit(5 * SPAN_S)
        await site.until(lambda: _in_line(site, [business], 1), "and behind them the business job's")
        gate.touch()
        for job_id in (business, *backlog):
            await site.ended(job_id)
    begun = sorted([start for job_id in (business, *backlog) for start in await _starts(site, job_id)])
    assert [job_id for _, job_id in begun].index(business) == SLOTS


@pytest.mark.parametrize("plan", [plan.name for plan in DEFAULT_PLANS if plan.minutes_month])
@pytest.mark.promise("J40")
async def test_nobody_waits_five_seconds_where_nothing_else_is_to_do(site: Site, plan: str) -> None:
    """From the submission to the claim of a worker, through a real API and its relay."""
    _, key = await site.member(plan)
    await site.working()
    _, address = await site.serving()
    job = await site.ended(await site.post(address, content=wav(numbered(5)), key=key))
    assert job.started_at is not None
    assert (job.started_at - job.created_at).total_seconds() < IDLE_WAIT_S


async def _in_line(site: Site, job_ids: list[str], count: int) -> bool:
    """Whether so many of the jobs have all their spans with Temporal."""
    lined_up = 0
    for job_id in job_ids:
        spans = await site.waiting(job_id, "transcribe") + await site.running(job_id, "transcribe")
        lined_up += spans > 0 and spans == (await site.job(job_id)).spans_total
    return lined_up == count


async def _starts(site: Site, job_id: str) -> list[tuple[datetime, str]]:
    """When spans of the job were given to a worker."""
    events = (await site.history(job_workflow_id(job_id, 1))).events
    heard = {
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "transcribe"
    }
    return [
        (event.event_time.ToDatetime(), job_id)
        for event in events
        if event.activity_task_started_event_attributes.scheduled_event_id in heard
    ]
