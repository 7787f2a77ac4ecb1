"""What does a receiver see whose server is down, or dies at the wrong moment? One event, the same bytes each time, and an end."""

from __future__ import annotations

import signal

import pytest

from tests.acceptance.processes import Child
from tests.acceptance.site import Site


@pytest.mark.promise("J35", "J38")
async def test_a_receiver_that_was_down_gets_the_event_once_with_the_same_bytes_on_every_attempt(site: Site) -> None:
    """It hangs up, then has trouble, then takes it: nothing comes after that."""
    answers = {1: None, 2: 503, 3: 302}
    site.sink.answer = lambda number: answers.get(number, 204)
    async with site.relay():
        await site.working()
        job_id = await site.submit(5)
        ended = await site.ended(job_id)
        await site.delivered(job_id)
        (delivery, attempts), *more = await site.house.jobs.deliveries(job_id)
        await site.closed(f"deliver/{delivery.event_id}")
    assert more == []
    assert ended.ended_at is not None
    assert [sent.status for sent in site.sink.sent] == [None, 503, 302, 204]
    assert [attempt.status for attempt in attempts] == [None, 503, 302, 204]
    await site.audit(job_id, seconds=5)


async def test_a_worker_that_dies_after_the_receiver_took_the_event_costs_at_most_one_more_of_the_same(
    site: Site,
) -> None:
    """The answer is on its way, and nobody is left to read it."""
    doomed: list[Child] = []

    def stop() -> None:
        if not site.sink.sent:
            doomed[0].signal(signal.SIGSTOP)

    site.sink.before = stop
    async with site.relay():
        await site.working("control,media,speech,voices")
        doomed.append(await site.working("deliver"))
        job_id = await site.submit(5)
        await site.ended(job_id)
        await site.until(lambda: _sent(site, 1), "the receiver was called")
        doomed[0].kill()
        await site.working("deliver")
        await site.delivered(job_id)
    assert [sent.status for sent in site.sink.sent] == [200, 200]
    await site.audit(job_id, seconds=5)


async def _sent(site: Site, count: int) -> bool:
    return len(site.sink.sent) >= count
