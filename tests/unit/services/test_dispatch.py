"""How do ordered things begin? By id, once, whatever is away and however many passes overlap."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.unit.services.desk import CAPS, HOOK, PLANS, Desk
from tiro.model.errors import Permanent, Transient
from tiro.model.hook import delays_s
from tiro.model.request import JobOptions
from tiro.ports import Launch


async def test_a_queued_job_is_admitted_started_and_its_order_dropped(desk: Desk) -> None:
    """Temporal learns ids, numbers and what is asked; a second pass has nothing to do."""
    account = await desk.account("pro")
    await desk.queued(account, webhook_url=HOOK)
    assert await desk.dispatch.once() == 1
    assert await desk.dispatch.once() == 0
    assert desk.orchestrator.launched == {
        ("job_1", 1): Launch(
            job_id="job_1",
            run=1,
            account_id=account.account_id,
            dialect="jobs",
            weight=PLANS.named("pro").weight,
            flags=("diarize", "webhook"),
            summary="transcribe · en · diarize · jobs",
        )
    }


@pytest.mark.promise("J40")
async def test_a_business_account_weighs_more_than_pro_and_pro_more_than_free(desk: Desk) -> None:
    """Each run is started with the weight of its account's plan as it is then."""
    accounts = {plan: await desk.account(plan) for plan in ("free", "pro", "business")}
    for plan, account in accounts.items():
        await desk.queued(account, f"job_{plan}")
    await desk.dispatch.once()
    weights = [desk.orchestrator.launched[f"job_{plan}", 1].weight for plan in accounts]
    assert weights == sorted(set(weights))


@pytest.mark.promise("J40")
async def test_a_job_of_another_account_does_not_wait_for_a_backlog(desk: Desk) -> None:
    """A free account has all its jobs in line; the business account's begins in the same pass."""
    free = await desk.account("free")
    for number in range(9):
        desk.clock.step()
        await desk.queued(free, f"job_free_{number}")
    desk.clock.step()
    await desk.queued(await desk.account("business"), "job_business")
    await desk.dispatch.once()
    assert sorted(job_id for job_id, _ in desk.orchestrator.launched) == ["job_business", "job_free_0", "job_free_1"]


async def test_what_is_asked_for_is_all_that_the_summary_says(desk: Desk) -> None:
    """A prompt and a vocabulary are content."""
    options = JobOptions(diarize=False, prompt="canary", vocabulary=("canary",))
    await desk.queued(await desk.account(), options=options)
    await desk.dispatch.once()
    launch = desk.orchestrator.launched["job_1", 1]
    assert (launch.summary, launch.flags) == ("transcribe · auto · jobs", ())


@pytest.mark.promise("J20")
async def test_no_more_run_than_the_plan_allows(desk: Desk) -> None:
    """The third of a free account waits until one has ended."""
    account = await desk.account("free")
    for number in range(3):
        desk.clock.step()
        await desk.queued(account, f"job_{number}")
    await desk.dispatch.once()
    assert sorted(desk.orchestrator.launched) == [("job_0", 1), ("job_1", 1)]
    await desk.endings.end("job_0", 1, "cancelled")
    await desk.dispatch.once()
    assert ("job_2", 1) in desk.orchestrator.launched


async def test_orders_wait_while_temporal_is_away(desk: Desk) -> None:
    """Nothing is lost, nothing is started twice."""
    await desk.queued(await desk.account())
    desk.orchestrator.away = True
    for _ in range(3):
        with pytest.raises(Transient):
            await desk.dispatch.once()
    assert await desk.orders() == [("transcription", "job_1")]
    desk.orchestrator.away = False
    assert await desk.dispatch.once() == 1
    assert list(desk.orchestrator.launched) == [("job_1", 1)]


async def test_passes_that_overlap_start_a_job_once(desk: Desk) -> None:
    """One id, told as often as it takes."""
    account = await desk.account()
    await desk.queued(account)
    await asyncio.gather(*(desk.dispatch.once() for _ in range(4)))
    assert list(desk.orchestrator.launched) == [("job_1", 1)]
    assert await desk.slots(account) == 1
    assert await desk.orders() == []


async def test_a_job_that_was_cancelled_before_it_began_is_not_started(desk: Desk) -> None:
    """Its order is gone with it."""
    await desk.queued(await desk.account())
    await desk.jobs.cancel("job_1")
    await desk.dispatch.once()
    assert desk.orchestrator.launched == {}
    assert desk.orchestrator.cancelled == [("job_1", 1)]


async def test_a_delivery_is_started_with_its_schedule_and_only_while_it_waits(desk: Desk) -> None:
    """The schedule is data; an event that was stopped is not sent."""
    account = await desk.account()
    for job_id in ("job_1", "job_2"):
        await desk.running(account, job_id, webhook_url=HOOK)
        await desk.endings.end(job_id, 1, "completed")
    await desk.jobs.delete("job_2")
    await desk.dispatch.once()
    (delivery, _), *_ = await desk.deliveries("job_1")
    assert {event: task.delays_s for event, task in desk.orchestrator.deliveries.items()} == {
        delivery.event_id: delays_s("jobs")
    }
    assert await desk.orders() == []


@pytest.mark.promise("J38")
@pytest.mark.parametrize(("late_s", "first"), [(45, (0, 75)), (3600, (0, 3600)), (86_399, (0, 1)), (90_000, (0,))])
async def test_a_delivery_that_begins_late_ends_no_later(desk: Desk, late_s: float, first: tuple[float, ...]) -> None:
    """Temporal was away: the first attempt is made at once, the last within a day of the job's end as for any other."""
    await desk.running(await desk.account(), webhook_url=HOOK)
    await desk.endings.end("job_1", 1, "completed")
    desk.clock.step(late_s)
    await desk.dispatch.once()
    (task,) = desk.orchestrator.deliveries.values()
    assert task.delays_s[:2] == first
    assert late_s + task.delays_s[-1] == max(late_s, 24 * 3600)


async def test_an_account_whose_plan_is_lost_holds_up_no_other(desk: Desk) -> None:
    """Its jobs wait until the settings name the plan again: those with an order, and those that would get a slot."""
    lost, other = await desk.account("pro"), await desk.account("pro")
    for number, account in enumerate((lost, other, lost)):
        desk.clock.step()
        await desk.queued(account, f"job_{number}")
    async with desk.records.begin() as tx:
        await tx.jobs.admit(desk.clock.now(), CAPS, 1)
        await tx.accounts.save(msgspec.structs.replace(lost, plan="gone"))
    await desk.dispatch.once()
    assert sorted(desk.orchestrator.launched) == [("job_1", 1)]
    async with desk.records.begin() as tx:
        await tx.accounts.save(lost)
    await desk.dispatch.once()
    assert sorted(desk.orchestrator.launched) == [("job_0", 1), ("job_1", 1), ("job_2", 1)]


async def test_an_order_that_cannot_be_carried_out_holds_up_no_other_and_is_not_called_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that took it for done would try it again at once, for ever."""
    account = await desk.account()
    await desk.queued(account, "job_1")
    desk.clock.step()
    await desk.queued(account, "job_2")
    start = desk.orchestrator.start_transcription

    async def refuse_the_first(launch: Launch) -> None:
        if launch.job_id == "job_1":
            raise Permanent("internal_error")
        await start(launch)

    monkeypatch.setattr(desk.orchestrator, "start_transcription", refuse_the_first)
    assert await desk.dispatch.once() == 1
    assert await desk.dispatch.once() == 0
    assert list(desk.orchestrator.launched) == [("job_2", 1)]
    assert await desk.orders() == [("transcription", "job_1")]
