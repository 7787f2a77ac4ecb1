"""Are slots given to whoever waits longest, in turns, and never more than the plan has?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Select, literal_column, select, text

from tests.contract.records_nouns import CAPS, DONE, account, given, job, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.admission import WAITING, accounts_in
from tiro.adapters.database.connect import parse, sync_engine
from tiro.adapters.database.records import SqlRecords
from tiro.adapters.database.tables import AHEAD, IN_LINE, TO_FETCH, jobs
from tiro.model.job import Ending, Job, Order


def _line(account_id: str, count: int, first_s: float = 0) -> list[Job]:
    return [job(f"{account_id}_{n:02d}", account_id, START + timedelta(seconds=first_s + n)) for n in range(count)]


async def _admit(records: SqlRecords, limit: int = 100) -> list[str]:
    return [order.job_id for order in await within(records, lambda tx: tx.jobs.admit(START, CAPS, limit))]


async def _running(records: SqlRecords, account_id: str) -> int:
    found = await within(records, lambda tx: tx.accounts.get(account_id))
    assert found is not None
    return found.running


async def test_the_oldest_jobs_get_the_slots_and_their_orders(records: SqlRecords) -> None:
    await given(records, account("a"), *reversed(_line("a", 4)))
    orders = await within(records, lambda tx: tx.jobs.admit(START, CAPS))
    assert orders == [Order("transcription", "a_00", 1), Order("transcription", "a_01", 1)]
    assert await within(records, lambda tx: tx.jobs.orders()) == orders
    assert await _running(records, "a") == 2
    first = await within(records, lambda tx: tx.jobs.get("a_00"))
    assert first is not None
    assert (first.state, first.admitted) == ("queued", True)
    assert await _admit(records) == []


async def test_an_ended_job_makes_room_for_the_next(records: SqlRecords) -> None:
    await given(records, account("a"), *_line("a", 4))
    await _admit(records)
    await within(records, lambda tx: tx.jobs.claim("a_01", 1, "flow", START))
    await within(records, lambda tx: tx.jobs.finish("a_01", 1, DONE, START, START))
    assert await _admit(records) == ["a_02"]
    assert await _running(records, "a") == 2


async def test_accounts_take_turns_when_not_all_can_be_admitted_at_once(records: SqlRecords) -> None:
    await given(records, account("a", "business"), *_line("a", 30))
    await given(records, account("b", "pro"), *_line("b", 3, first_s=100))
    assert sorted(await _admit(records, limit=4)) == ["a_00", "a_01", "b_00", "b_01"]
    assert await _running(records, "a") == await _running(records, "b") == 2


@pytest.mark.promise("J40")
async def test_a_backlog_of_one_account_delays_no_other(records: SqlRecords) -> None:
    await given(records, account("a"), *_line("a", 40))
    await _admit(records)
    await given(records, account("b"), *_line("b", 1, first_s=1000))
    assert await _admit(records) == ["b_00"]


async def test_a_retry_waits_behind_those_who_waited_before_it(records: SqlRecords) -> None:
    await given(records, account("a"), *_line("a", 3))
    await within(records, lambda tx: tx.jobs.finish("a_00", 1, Ending(outcome="failed"), START, START))
    await within(records, lambda tx: tx.jobs.retry("a_00", START + timedelta(hours=1)))
    assert await _admit(records) == ["a_01", "a_02"]


async def test_deleted_jobs_and_unknown_plans_get_no_slot(records: SqlRecords) -> None:
    await given(records, account("a"), account("b", "secret"), *_line("a", 1), *_line("b", 1))
    await within(records, lambda tx: tx.jobs.mark_deleted("a_00", START))
    assert await _admit(records) == []
    assert await within(records, lambda tx: tx.jobs.admit(START, {})) == []


def test_the_line_is_read_from_its_own_index_alone(database_url: str) -> None:
    """What awaits its bytes, or belongs to a batch, is not walked at every pass."""
    line = select(jobs.c.job_id).where(jobs.c.account_id == "a", WAITING).order_by(jobs.c.changed_at)
    assert "ix_jobs_waiting" in _plan(database_url, line)
    (index,) = (one for one in jobs.indexes if one.name == "ix_jobs_waiting")
    assert {"NOT awaiting", "batch_id IS NULL"} <= set(str(index.dialect_options["sqlite"]["where"]).split(" AND "))


@pytest.mark.parametrize(
    ("condition", "index"),
    [(IN_LINE, "ix_jobs_waiting"), (TO_FETCH, "ix_jobs_to_fetch"), (AHEAD, "ix_jobs_ahead")],
)
def test_whose_jobs_are_in_line_is_asked_of_an_index_over_just_these(
    database_url: str, condition: str, index: str
) -> None:
    """A pass is as quick behind ten thousand waiting jobs as behind one."""
    plan = _plan(database_url, accounts_in(literal_column(f"({condition})")), {"ix_jobs_waiting"} - {index})
    assert index in plan
    assert not {line for line in plan.splitlines() if "jobs" in line and index not in line}


def _plan(database_url: str, asked: Select[Any], unless: Iterable[str] = ()) -> str:
    """How the database would answer, on an empty table. Of two indexes that would do either is taken, so others go."""
    engine = sync_engine(parse(database_url))
    words = str(asked.compile(engine, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    with engine.connect() as connection:
        for other in ("ix_jobs_account_id_changed_at_job_id", *unless):
            connection.execute(text(f"DROP INDEX {other}"))
        if engine.dialect.name == "postgresql":
            for other in ("seqscan", "bitmapscan"):
                connection.execute(text(f"SET LOCAL enable_{other} = off"))
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {words}"))


async def test_two_relays_never_pass_the_cap_and_leave_no_slot_empty(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        for name in "abc":
            await given(one, account(name), *_line(name, 12))
        started: list[str] = []
        for _ in range(6):
            found = await asyncio.gather(*(_admit(records) for records in (one, other, one, other)))
            started += [job_id for job_ids in found for job_id in job_ids]
            assert [await _running(one, name) for name in "abc"] == [2, 2, 2]
            ends = [within(other, lambda tx, j=j: tx.jobs.finish(j, 1, DONE, START, START)) for j in started[-6:]]
            await asyncio.gather(*ends, _admit(one), *(_finish_again(one, j) for j in started[-6:]))
            started += [order.job_id for order in await within(one, lambda tx: tx.jobs.orders())]
            started = list(dict.fromkeys(started))
        assert [await within(one, lambda tx, n=name: tx.jobs.count_open(n)) for name in "abc"] == [0, 0, 0]


async def _finish_again(records: SqlRecords, job_id: str) -> None:
    await within(records, lambda tx: tx.jobs.finish(job_id, 1, DONE, START, START))


async def test_a_relay_does_not_wait_for_one_that_is_busy(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account("a"), account("b"), *_line("a", 1))
        async with one.begin() as busy:
            assert [order.job_id for order in await busy.jobs.admit(START, CAPS)] == ["a_00"]
            await given(other, *_line("b", 1), job("a_later", "a"))
            async with asyncio.timeout(5):
                assert await _admit(other) == ["b_00"]
        assert await _admit(other) == ["a_later"]
