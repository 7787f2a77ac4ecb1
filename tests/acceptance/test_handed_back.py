"""What does a stopped worker do with what it is at? It hands it back, and nobody counts that as a failure."""

from __future__ import annotations

import signal

import psycopg

from tests.acceptance.midway import midway
from tests.acceptance.site import Site
from tiro.adapters.temporal.names import job_workflow_id

SECONDS = 360


async def test_a_worker_that_is_told_to_stop_hands_its_spans_to_another(site: Site) -> None:
    """Its attempts end as WorkerShutdown, it exits 0, and the other worker goes on with the next attempt."""
    async with site.relay():
        job_id, stopped, _ = await midway(site, SECONDS)
        stopped.signal(signal.SIGTERM)
        assert await stopped.ended() == 0
        await site.ended(job_id)
        await site.delivered(job_id)
    history = await site.history(job_workflow_id(job_id, 1))
    again = [
        event.activity_task_started_event_attributes
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
        and event.activity_task_started_event_attributes.attempt > 1
    ]
    assert [(one.attempt, one.last_failure.application_failure_info.type) for one in again] == [
        (2, "WorkerShutdown"),
        (2, "WorkerShutdown"),
    ]
    assert _failures(site) == 0
    await site.audit(job_id, seconds=SECONDS)


def _failures(site: Site) -> int:
    with psycopg.connect(site.environ["TIRO_DATABASE_URL"]) as connection:
        counted = connection.execute("SELECT count(*) FROM failures").fetchone()
    assert counted is not None
    return int(counted[0])
