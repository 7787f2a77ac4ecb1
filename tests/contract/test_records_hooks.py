"""Is a delivery one row with numbered attempts, and does its state hold?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec

from tests.contract.records_nouns import account, delivery, given, within
from tests.servers.databases import START
from tiro.adapters.database.records import SqlRecords
from tiro.model.hook import Attempt, Delivery, DeliveryState

REPLACE = msgspec.structs.replace
SOON = START + timedelta(seconds=10)


def _attempt(number: int = 1, status: int | None = 503, error: str | None = None, at_s: float = 0) -> Attempt:
    moment = START + timedelta(seconds=at_s)
    return Attempt(event_id="evt_1", number=number, at=moment, status=status, error=error, took_ms=12)


async def _record(records: SqlRecords, attempt: Attempt, state: DeliveryState = "pending") -> Delivery | None:
    next_at = SOON if state == "pending" else None
    return await within(records, lambda tx: tx.hooks.record(attempt, state, next_at))


async def test_a_delivery_comes_back_as_it_went_in_and_once(records: SqlRecords) -> None:
    await given(records, account(), delivery(next_attempt_at=SOON), delivery("evt_0"), delivery("evt_2", "job_2"))
    await given(records, delivery(state="exhausted"))
    assert await within(records, lambda tx: tx.hooks.get("evt_1")) == delivery(next_attempt_at=SOON)
    assert await within(records, lambda tx: tx.hooks.get("evt_9")) is None
    found = await within(records, lambda tx: tx.hooks.of_job("job_1"))
    assert [each.event_id for each in found] == ["evt_0", "evt_1"]


async def test_the_deliveries_of_several_jobs_come_at_once(records: SqlRecords) -> None:
    await given(
        records, account(), delivery(), delivery("evt_0"), delivery("evt_2", "job_2"), delivery("evt_3", "job_3")
    )
    found = await within(records, lambda tx: tx.hooks.of_jobs(["job_2", "job_1", "job_9"]))
    assert {job: [each.event_id for each in events] for job, events in found.items()} == {
        "job_1": ["evt_0", "evt_1"],
        "job_2": ["evt_2"],
    }
    assert await within(records, lambda tx: tx.hooks.of_jobs([])) == {}


async def test_attempts_are_numbered_and_the_delivery_says_where_it_stands(records: SqlRecords) -> None:
    await given(records, account(), delivery())
    first, second = _attempt(1, None, "timeout"), _attempt(2, 204, at_s=10)
    assert await _record(records, first) == delivery(attempts=1, last_error="timeout", next_attempt_at=SOON)
    ended = await _record(records, second, "delivered")
    assert ended == delivery(state="delivered", attempts=2, last_status=204, delivered_at=SOON)
    assert await within(records, lambda tx: tx.hooks.get("evt_1")) == ended
    assert await within(records, lambda tx: tx.hooks.attempts("evt_1")) == [first, second]


async def test_an_attempt_of_an_unknown_event_is_not_written(records: SqlRecords) -> None:
    assert await _record(records, _attempt()) is None
    assert await within(records, lambda tx: tx.hooks.attempts("evt_1")) == []


async def test_the_same_number_twice_is_one_attempt(records: SqlRecords) -> None:
    await given(records, account(), delivery())
    await asyncio.gather(*(_record(records, _attempt()) for _ in range(6)))
    again = await _record(records, _attempt(1, None, "timeout", at_s=3))
    assert again is not None
    assert (again.attempts, again.state, again.last_error) == (1, "pending", "timeout")
    assert await within(records, lambda tx: tx.hooks.attempts("evt_1")) == [_attempt(1, None, "timeout", at_s=3)]


async def test_the_same_number_refused_and_then_taken_is_two_attempts(records: SqlRecords) -> None:
    """Who has seen the refusal goes on to see it; told once more, it is still two."""
    await given(records, account(), delivery())
    await _record(records, _attempt())
    for _ in range(2):
        late = await _record(records, _attempt(1, 200, at_s=3), "delivered")
        assert late is not None
        assert (late.attempts, late.state, late.last_status) == (2, "delivered", 200)
    assert [(one.number, one.status) for one in await within(records, lambda tx: tx.hooks.attempts("evt_1"))] == [
        (1, 503),
        (2, 200),
    ]


async def test_what_was_delivered_stays_delivered(records: SqlRecords) -> None:
    await given(records, account(), delivery())
    await _record(records, _attempt(1, 200), "delivered")
    late = await _record(records, _attempt(2, None, "timeout", at_s=9))
    assert late is not None
    assert (late.state, late.delivered_at, late.next_attempt_at) == ("delivered", START, None)


async def test_an_attempt_in_flight_does_not_undo_a_stop_but_tells_of_its_arrival(records: SqlRecords) -> None:
    await given(records, account(), delivery(next_attempt_at=SOON))
    await within(records, lambda tx: tx.hooks.set_state("evt_1", "stopped"))
    late = await _record(records, _attempt())
    assert late is not None
    assert (late.state, late.next_attempt_at, late.attempts) == ("stopped", None, 1)
    arrived = await _record(records, _attempt(2, 200), "delivered")
    assert arrived is not None
    assert arrived.state == "delivered"


async def test_a_delivery_can_be_made_pending_again(records: SqlRecords) -> None:
    await given(records, account(), delivery())
    await _record(records, _attempt(), "exhausted")
    await within(records, lambda tx: tx.hooks.set_state("evt_1", "pending"))
    again = await within(records, lambda tx: tx.hooks.get("evt_1"))
    assert again == delivery(attempts=1, last_status=503)
