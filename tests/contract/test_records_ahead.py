"""Are the recordings of waiting jobs ordered in the order of their line, once a run, and never more than the plan has slots?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.contract.records_nouns import CAPS, account, given, job, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.job import Ending, Job, Order
from tiro.model.request import UrlSource

FREE = CAPS["free"]


def _line(account_id: str, count: int) -> list[Job]:
    """Jobs with an address, one second after another."""
    moments = (START + timedelta(seconds=n) for n in range(count))
    return [job(f"{account_id}_{n}", account_id, at, source=UrlSource(b"s")) for n, at in enumerate(moments)]


async def _look_ahead(records: SqlRecords, limit: int = 100) -> list[str]:
    """As the relay does it: after admission, in the same transaction."""
    async with records.begin() as tx:
        await tx.jobs.admit(START, CAPS)
        return [order.job_id for order in await tx.jobs.order_fetches(CAPS, limit)]


async def _fail(records: SqlRecords, job_id: str) -> None:
    await within(records, lambda tx: tx.jobs.finish(job_id, 1, Ending(outcome="failed"), START, START))


@pytest.mark.promise("J41")
async def test_behind_a_full_account_the_next_in_line_are_ordered_as_many_as_may_run(records: SqlRecords) -> None:
    await given(records, account("a"), *reversed(_line("a", 6)))
    assert await _look_ahead(records) == ["a_2", "a_3"]
    orders = await within(records, lambda tx: tx.jobs.orders())
    assert orders[FREE:] == [Order("fetch", "a_2", 1), Order("fetch", "a_3", 1)]
    ahead = await within(records, lambda tx: tx.jobs.get("a_2"))
    assert ahead is not None
    assert (ahead.state, ahead.admitted, ahead.fetch_run) == ("queued", False, 1)


async def test_what_was_ordered_is_not_ordered_again(records: SqlRecords) -> None:
    """Also when the order is carried out and gone."""
    await given(records, account("a"), *_line("a", 3))
    assert await _look_ahead(records) == ["a_2"]
    await within(records, lambda tx: tx.jobs.drop_order(Order("fetch", "a_2", 1)))
    assert await _look_ahead(records) == []


async def test_who_moves_up_makes_room_for_the_next(records: SqlRecords) -> None:
    """Into a slot, or out of the line."""
    await given(records, account("a"), *_line("a", 7))
    await _look_ahead(records)
    await _fail(records, "a_0")
    assert await _look_ahead(records) == ["a_4"]
    await _fail(records, "a_3")
    assert await _look_ahead(records) == ["a_5"]


async def test_while_a_slot_is_free_nothing_is_fetched_ahead(records: SqlRecords) -> None:
    """Who has not been admitted yet will be at once."""
    await given(records, account("a"), *_line("a", 1))
    assert await within(records, lambda tx: tx.jobs.order_fetches(CAPS)) == []


async def test_uploads_and_deleted_jobs_are_passed_over(records: SqlRecords) -> None:
    first, second, third, fourth = _line("a", 4)
    uploads = [job(f"a_upload_{n}", "a", START + timedelta(seconds=1, milliseconds=n)) for n in range(3)]
    await given(records, account("a"), first, second, *uploads, third, fourth)
    await within(records, lambda tx: tx.jobs.mark_deleted("a_2", START))
    assert await _look_ahead(records) == ["a_3"]


async def test_a_retry_that_waits_again_is_ordered_again(records: SqlRecords) -> None:
    """Its next run has an order of its own."""
    await given(records, account("a"), *_line("a", 3))
    await _look_ahead(records)
    await _fail(records, "a_2")
    await within(records, lambda tx: tx.jobs.retry("a_2", START))
    assert await _look_ahead(records) == ["a_2"]
    assert Order("fetch", "a_2", 2) in await within(records, lambda tx: tx.jobs.orders())


async def test_accounts_take_turns(records: SqlRecords) -> None:
    await given(records, account("a"), account("b"), *_line("a", 5), *_line("b", 5))
    assert await _look_ahead(records, limit=2) == ["a_2", "b_2"]


async def test_an_unknown_plan_fetches_nothing(records: SqlRecords) -> None:
    await given(records, account("a", "secret"), *_line("a", 3))
    assert await _look_ahead(records) == []


async def test_two_relays_order_no_more_than_one(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, *(account(name) for name in "abc"), *(job for name in "abc" for job in _line(name, 12)))
        for _ in range(3):
            found = await asyncio.gather(*(_look_ahead(records) for records in (one, other, one, other)))
        ordered = [order for order in await within(one, lambda tx: tx.jobs.orders()) if order.kind == "fetch"]
        assert sorted(order.job_id for order in ordered) == [f"{name}_{n}" for name in "abc" for n in (2, 3)]
        assert found == [[], [], [], []]
