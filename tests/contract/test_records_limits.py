"""Does a rate count exactly, for all processes together, and does it keep nothing longer than it counts?"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.contract.records_nouns import two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.connect import async_engine, parse
from tiro.adapters.database.limits import SqlLimits
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.adapters.database.rows import Rows
from tiro.ports import Transaction

pytestmark = pytest.mark.promise("J14")

A_MINUTE = timedelta(minutes=1)
A_TICK = timedelta(microseconds=1)


async def _take(records: SqlRecords, at: datetime, at_most: int = 2, name: str = "name") -> timedelta | None:
    return await within(records, lambda tx: tx.limits.take(name, at_most, A_MINUTE, at))


async def test_so_many_are_counted_and_the_next_learns_how_long_to_wait(records: SqlRecords) -> None:
    assert await _take(records, START) is None
    assert await _take(records, START + timedelta(seconds=10)) is None
    assert await _take(records, START + timedelta(seconds=15)) == timedelta(seconds=45)
    assert await _take(records, START + timedelta(seconds=15), name="other") is None


async def test_each_counts_to_the_microsecond(records: SqlRecords) -> None:
    """Not by whole minutes: each counts for exactly a minute."""
    for at_s in (0, 10):
        await _take(records, START + timedelta(seconds=at_s))
    assert await _take(records, START + A_MINUTE - A_TICK) == A_TICK
    assert await _take(records, START + A_MINUTE) is None
    assert await _take(records, START + A_MINUTE) == timedelta(seconds=10)


async def test_what_is_refused_does_not_count(records: SqlRecords) -> None:
    for _ in range(2):
        await _take(records, START)
    for second in range(1, 60):
        assert await _take(records, START + timedelta(seconds=second)) is not None
    assert await _take(records, START + A_MINUTE) is None


async def test_what_is_rolled_back_does_not_count(records: SqlRecords) -> None:
    async def take_and_fail(tx: Transaction) -> None:
        await tx.limits.take("name", 1, A_MINUTE, START)
        raise LookupError

    with pytest.raises(LookupError):
        await within(records, take_and_fail)
    assert await _take(records, START, at_most=1) is None


async def test_a_lower_limit_counts_what_was_taken_under_a_higher_one(records: SqlRecords) -> None:
    for at_s in range(5):
        await _take(records, START + timedelta(seconds=at_s), at_most=5)
    assert await _take(records, START + timedelta(seconds=5), at_most=2) == timedelta(seconds=58)


async def test_clocks_of_two_processes_may_differ(records: SqlRecords) -> None:
    """What the faster one took counts for the slower one too."""
    ahead = START + timedelta(seconds=3)
    assert await _take(records, ahead) is None
    assert await _take(records, START) is None
    assert await _take(records, START + A_TICK) == A_MINUTE - A_TICK
    assert await _take(records, ahead + A_MINUTE) is None


async def test_only_what_no_longer_counts_is_removed(records: SqlRecords) -> None:
    await _take(records, START, name="older")
    await _take(records, START + A_TICK, name="younger", at_most=1)
    assert await within(records, lambda tx: tx.limits.forget(START + A_MINUTE - A_TICK)) == 0
    assert await within(records, lambda tx: tx.limits.forget(START + A_MINUTE)) == 1
    assert await within(records, lambda tx: tx.limits.forget(START + A_MINUTE)) == 0
    assert await _take(records, START + A_MINUTE, name="younger", at_most=1) == A_TICK


@given(steps_s=st.lists(st.floats(0, 40), max_size=40), at_most=st.integers(1, 6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_minute_ever_holds_more_than_the_limit_and_no_room_is_refused(
    sqlite_url: str, clock: SteppedClock, steps_s: list[float], at_most: int
) -> None:
    """Whenever they come."""

    async def come() -> None:
        records = open_records(sqlite_url, clock)
        counted: list[datetime] = []
        for step_s in steps_s:
            now = clock.step(step_s)
            within_reach = [at for at in counted if now - at < A_MINUTE]
            wait = await _take(records, now, at_most)
            assert (wait is None) == (len(within_reach) < at_most)
            if wait is None:
                counted.append(now)
            else:
                assert wait == within_reach[-at_most] + A_MINUTE - now
        await records.close()

    clock.step(3600)
    asyncio.run(come())


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
async def test_two_processes_share_the_count(kind: str, request: pytest.FixtureRequest, clock: SteppedClock) -> None:
    """Sixty at once over two engines: exactly so many are counted, and a sweep at the same time disturbs nobody."""
    url: str = request.getfixturevalue(kind)
    async with two_processes(url, clock) as both:
        for number in range(20):
            await _take(both[0], START - A_MINUTE, name=f"old {number}")
        taken, swept = await asyncio.gather(
            asyncio.gather(*(_take(both[number % 2], START, at_most=20) for number in range(60))),
            within(both[0], lambda tx: tx.limits.forget(START)),
        )
    assert sum(wait is None for wait in taken) == 20
    assert {wait for wait in taken if wait is not None} == {A_MINUTE}
    assert swept == 20


async def test_only_a_transaction_that_says_so_may_be_lost(postgres_url: str) -> None:
    """Money is added in one that counts, too: what was answered must be on the disk."""
    engine = async_engine(parse(postgres_url))
    async with engine.begin() as connection:
        rows, durable = Rows(connection), text("SHOW synchronous_commit")
        await rows.run(text("SET LOCAL synchronous_commit TO ON"))
        await SqlLimits(rows).take("name", 1, A_MINUTE, START)
        assert await rows.value(durable) == "on"
        await SqlLimits(rows).may_be_lost()
        assert await rows.value(durable) == "off"
    await engine.dispose()
