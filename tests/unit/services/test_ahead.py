"""What of a waiting job is begun before its turn: its recording is fetched, and nothing else."""

from __future__ import annotations

import pytest

from tests.unit.services.desk import HOOK, Desk
from tiro.model.account import Account
from tiro.model.errors import Transient
from tiro.services.ending import Fault

URL = "https://bucket.example/recording?X-Amz-Signature=canary"


@pytest.fixture
async def free(desk: Desk) -> Account:
    """An account whose two slots are taken."""
    account = await desk.account("free")
    for number in (1, 2):
        await desk.queued(account, f"job_runs_{number}")
        desk.clock.step()
    await desk.dispatch.once()
    return account


@pytest.mark.promise("J41")
async def test_a_waiting_jobs_recording_is_fetched_ahead_and_its_run_is_not_begun(desk: Desk, free: Account) -> None:
    """Told by ids; once, although every pass sees it wait."""
    await desk.queued(free, url=URL)
    await desk.dispatch.once()
    assert await desk.dispatch.once() == 0
    assert list(desk.orchestrator.fetches) == [("job_1", 1)]
    assert ("job_1", 1) not in desk.orchestrator.launched
    assert "canary" not in repr(desk.orchestrator.fetches)
    job = await desk.job()
    assert (job.state, job.stage, job.admitted) == ("queued", "queued", False)
    assert await desk.slots(free) == 2


async def test_a_job_that_gets_a_slot_at_once_is_not_fetched_ahead(desk: Desk) -> None:
    await desk.queued(await desk.account("free"), url=URL)
    await desk.dispatch.once()
    assert (list(desk.orchestrator.launched), desk.orchestrator.fetches) == ([("job_1", 1)], {})


@pytest.mark.promise("J41")
async def test_no_more_wait_fetched_than_may_run(desk: Desk, free: Account) -> None:
    """Two of a free account; the third when one of them has moved up."""
    for number in range(4):
        desk.clock.step()
        await desk.queued(free, f"job_{number}", url=URL)
    await desk.dispatch.once()
    assert list(desk.orchestrator.fetches) == [("job_0", 1), ("job_1", 1)]
    await desk.endings.end("job_runs_1", 1, "cancelled")
    await desk.dispatch.once()
    assert list(desk.orchestrator.fetches) == [("job_0", 1), ("job_1", 1), ("job_2", 1)]
    assert ("job_0", 1) in desk.orchestrator.launched


async def test_an_order_that_comes_late_is_not_carried_out(desk: Desk, free: Account) -> None:
    """Temporal was away; meanwhile one has its slot, and the other was cancelled."""
    for number in (1, 2):
        await desk.queued(free, f"job_{number}", url=URL)
        desk.clock.step()
    desk.orchestrator.away = True
    with pytest.raises(Transient):
        await desk.dispatch.once()
    await desk.endings.end("job_runs_1", 1, "cancelled")
    await desk.endings.end("job_2", 1, "cancelled")
    desk.orchestrator.away = False
    await desk.dispatch.once()
    assert desk.orchestrator.fetches == {}
    assert await desk.orders() == []


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_cancelling_a_waiting_job_ends_its_fetch_and_leaves_nothing(desk: Desk, free: Account, how: str) -> None:
    """Not even what had come in already."""
    await desk.queued(free, url=URL)
    await desk.dispatch.once()
    desk.blobs.put("jobs/job_1/source", b"recording")
    await getattr(desk.jobs, how)("job_1")
    assert desk.names() == []
    await desk.dispatch.once()
    assert desk.orchestrator.cancelled == [("job_1", 1)]


@pytest.mark.promise("J41")
async def test_a_job_whose_address_opens_nothing_ends_in_line_and_costs_nothing(desk: Desk, free: Account) -> None:
    """One event, no slot given back that it never had."""
    await desk.queued(free, url=URL, webhook_url=HOOK)
    await desk.dispatch.once()
    fault = Fault("source_unavailable", "http_status", {"upstream_status": 403})
    for _ in range(2):
        await desk.endings.end("job_1", 1, "failed", fault)
    job = await desk.job()
    assert (job.state, job.error_code, job.error_reason) == ("failed", "source_unavailable", "http_status")
    assert job.error_extras["upstream_status"] == 403
    assert len(await desk.deliveries()) == 1
    assert not (await desk.usage(free)).used_s
    assert await desk.slots(free) == 2
