"""Is a run still wanted? Every step of a station asks, and what comes too late leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.unit.services.desk import PLAN, Desk
from tiro.model.errors import Permanent, QuotaExceeded
from tiro.model.job import JobPatch
from tiro.model.media import MediaLimits, Span, SpanPlan
from tiro.model.request import JobOptions
from tiro.services.ending import Fault
from tiro.services.line import LOST_ATTEMPTS, Superseded


async def test_a_run_is_claimed_by_one_execution_and_again_by_the_same(desk: Desk) -> None:
    """Another one is turned away."""
    await desk.queued(await desk.account())
    await desk.dispatch.once()
    assert await desk.line.begin("job_1", 1, "one") is not None
    assert await desk.line.begin("job_1", 1, "one") is not None
    assert await desk.line.begin("job_1", 1, "other") is None
    assert await desk.line.begin("job_1", 2, "one") is None


@pytest.mark.parametrize("how", ["ended", "retried", "deleted", "unknown"])
async def test_a_station_of_a_run_that_is_not_wanted_learns_it_at_its_first_step(desk: Desk, how: str) -> None:
    """Whatever took its place."""
    if how != "unknown":
        await desk.running(await desk.account())
        await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    if how == "retried":
        await desk.jobs.retry("job_1")
    if how == "deleted":
        await desk.jobs.delete("job_1")
    with pytest.raises(Superseded):
        await desk.line.job("job_1", 1)
    with pytest.raises(Superseded):
        await desk.line.patch("job_1", 1, JobPatch(stage="merging"))
    with pytest.raises(Superseded):
        await desk.line.span_done("job_1", 1, PLAN, 0)


@pytest.mark.promise("J21")
async def test_the_real_length_is_held_once_it_is_known(desk: Desk) -> None:
    """Telling it twice holds it once."""
    account = await desk.account()
    job = await desk.running(account, decoded_s=100.5)
    plan = SpanPlan(PLAN, "mono", (Span(0, 0, 0.0, 100.5, ((0.0, 100.5),)),), decoded_s=100.5)
    await desk.line.prepared(job, plan)
    assert (await desk.usage(account)).held_s == 101
    assert (await desk.job()).spans_total == 1


@pytest.mark.promise("J21")
async def test_a_length_beyond_what_is_left_is_refused_and_nothing_is_held(desk: Desk) -> None:
    """With what an owner needs to decide."""
    account = await desk.account("free")
    await desk.queued(account)
    with pytest.raises(QuotaExceeded) as refused:
        await desk.begun("job_1", decoded_s=3601.0)
    assert refused.value.extras["minutes_remaining"] == 60
    assert (await desk.usage(account)).held_s == 0


async def test_a_run_that_ended_while_it_was_cut_holds_nothing(desk: Desk) -> None:
    """The hold is rolled back with the row that no longer changes."""
    account = await desk.account()
    await desk.queued(account)
    await desk.dispatch.once()
    job = await desk.line.begin("job_1", 1, "one")
    assert job is not None
    await desk.jobs.cancel("job_1")
    with pytest.raises(Superseded):
        await desk.line.prepared(job, SpanPlan(PLAN, "mono", (), decoded_s=60.0))
    assert (await desk.usage(account)).held_s == 0


async def test_a_span_counts_once_however_often_it_is_told(desk: Desk) -> None:
    """Progress never passes the whole."""
    await desk.running(await desk.account())
    for index in (0, 0, 1, 0):
        await desk.line.span_done("job_1", 1, PLAN, index)
    assert (await desk.job()).spans_done == 2


async def test_a_writer_that_comes_after_the_cancel_removes_its_own_object(desk: Desk) -> None:
    """And only its own; it is then told that nobody wants it."""
    await desk.running(await desk.account())
    before = desk.blobs.put("jobs/job_1/parts/plan/first/0000.json", b"{}")
    assert await desk.line.keep("job_1", 1, before) == before
    await desk.jobs.cancel("job_1")
    late = desk.blobs.put("jobs/job_1/parts/plan/first/0001.json", b"{}")
    with pytest.raises(Superseded):
        await desk.line.keep("job_1", 1, late)
    assert "parts/plan/first/0001.json" not in desk.names()
    assert "parts/plan/first/0000.json" in desk.names()


async def test_a_writer_that_comes_after_the_deletion_removes_its_own_object(desk: Desk) -> None:
    """The tombstone stands before anything is removed."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "completed")
    await desk.jobs.delete("job_1")
    late = desk.blobs.put("jobs/job_1/transcript.json", b"{}")
    with pytest.raises(Superseded):
        await desk.line.keep("job_1", 1, late)
    assert desk.names() == []


async def test_what_a_superseded_run_wrote_stays_for_the_next(desk: Desk) -> None:
    """The same part has the same place in both runs: what is done is not done again."""
    await desk.running(await desk.account())
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    part = desk.blobs.put("jobs/job_1/parts/plan/first/0000.json", b"{}")
    with pytest.raises(Superseded):
        await desk.line.keep("job_1", 1, part)
    assert "parts/plan/first/0000.json" in desk.names()


@pytest.mark.promise("J3")
async def test_the_chain_is_what_can_do_the_job_in_the_servers_order(desk: Desk) -> None:
    """By language; what the request names narrows it."""
    account = await desk.account()
    english = await desk.queued(account, "job_1")
    german = await desk.queued(account, "job_2", options=JobOptions(language="de"))
    chosen = await desk.queued(account, "job_3", options=JobOptions(language="en", engines=("second",)))
    assert await desk.line.engines(english) == ("first", "second")
    assert await desk.line.engines(german) == ("second",)
    assert await desk.line.engines(chosen) == ("second",)
    assert desk.line.facts("second").model == "model_b"
    with pytest.raises(Permanent):
        desk.line.facts("third")


async def test_the_third_failure_of_one_kind_at_one_place_is_stale(desk: Desk) -> None:
    """Other spans and other codes are counted by themselves."""
    await desk.running(await desk.account())

    async def counted(index: int, code: str) -> bool:
        return await desk.line.is_stale("job_1", 1, index, station="transcribe", code=code)

    assert [await counted(0, "engine_crash") for _ in range(3)] == [False, False, True]
    assert not await counted(1, "engine_crash")
    assert not await counted(0, "engine_busy")


@pytest.mark.parametrize(("code", "times"), [("source_unreachable", 7), ("source_timeout", 3)])
async def test_a_strangers_server_that_is_away_for_a_minute_costs_no_job(desk: Desk, code: str, times: int) -> None:
    """The seventh failure is for good; of one that is too slow the third, since each has taken its time."""
    await desk.running(await desk.account())
    counted = [await desk.line.is_stale("job_1", 1, 0, station="fetch", code=code) for _ in range(times)]
    assert counted == [False] * (times - 1) + [True]


async def test_attempts_that_never_end_are_lost_after_ten_in_a_row(desk: Desk) -> None:
    """One that ends by itself clears the count."""
    await desk.running(await desk.account())

    async def begins() -> bool:
        return await desk.line.attempt_begins("job_1", 1, 0, station="ingest")

    assert not any([await begins() for _ in range(LOST_ATTEMPTS)])
    assert await begins()
    await desk.line.attempt_ended("job_1", 1, 0, station="ingest")
    assert not await begins()


@pytest.mark.promise("T15")
async def test_hearing_every_second_means_more_spans_and_the_same_price(desk: Desk) -> None:
    """What is held, and later billed, is the length."""
    account = await desk.account()
    job = await desk.running(account, options=JobOptions(language="en", vad=False))
    spans = (Span(0, 0, 0.0, 60.0, ((1.0, 2.0),)), Span(1, 0, 60.0, 120.0))
    await desk.line.prepared(job, SpanPlan(PLAN, "mono", spans, decoded_s=120.0))
    assert (await desk.job()).spans_total == 2
    assert (await desk.usage(account)).held_s == 120


@pytest.mark.promise("T5")
@pytest.mark.parametrize("limits", [None, MediaLimits(60.0, 1000)], ids=["the plan's", "its own"])
async def test_a_job_without_moving_pictures_has_them_in_no_limits(desk: Desk, limits: MediaLimits | None) -> None:
    """Whoever's caps they are."""
    job = await desk.queued(await desk.account(), limits=limits, options=JobOptions(moving_pictures=False))
    assert not (await desk.line.limits(job)).moving_pictures
    other = await desk.queued(await desk.account(), "job_2", limits=limits)
    assert (await desk.line.limits(other)).moving_pictures
