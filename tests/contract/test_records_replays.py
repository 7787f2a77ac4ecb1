"""Is an answer kept once under its name, whoever else comes with it, and as long as it counts?"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.contract.records_nouns import account, somebody_waits, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.replay import Replay
from tiro.ports import Transaction

pytestmark = pytest.mark.promise("J48")

A_DAY = timedelta(hours=24)
BEFORE = START - A_DAY


def _replay(answer: bytes = b'{"job_id":"job_1"}', name: str = "name", at: datetime = START) -> Replay:
    return Replay(name, "fingerprint", answer, at)


async def _add(records: SqlRecords, replay: Replay, since: datetime = BEFORE) -> bool:
    return await within(records, lambda tx: tx.replays.add(replay, since))


async def _get(records: SqlRecords, since: datetime = BEFORE, name: str = "name") -> Replay | None:
    return await within(records, lambda tx: tx.replays.get(name, since))


async def test_an_answer_comes_back_as_it_went_in(records: SqlRecords) -> None:
    assert await _get(records) is None
    assert await _add(records, _replay(bytes(range(256))))
    assert await _get(records) == _replay(bytes(range(256)))
    assert await _get(records, name="other") is None


async def test_the_first_answer_under_a_name_stays(records: SqlRecords) -> None:
    assert await _add(records, _replay(b"first"))
    assert not await _add(records, _replay(b"second"))
    assert await _add(records, _replay(b"third", name="other"))
    assert await _get(records) == _replay(b"first")


async def test_what_is_rolled_back_was_never_answered(records: SqlRecords) -> None:
    async def add_and_fail(tx: Transaction) -> None:
        assert await tx.replays.add(_replay(b"lost"), BEFORE)
        raise LookupError

    with pytest.raises(LookupError):
        await within(records, add_and_fail)
    assert await _add(records, _replay(b"second"))
    assert await _get(records) == _replay(b"second")


async def test_at_its_end_it_is_gone_and_not_a_microsecond_before(records: SqlRecords) -> None:
    await _add(records, _replay(b"old"))
    almost = START - timedelta(microseconds=1)
    assert await _get(records, almost) is not None
    assert not await _add(records, _replay(b"new"), almost)
    assert await _get(records, START) is None
    assert await _add(records, _replay(b"new", at=START + A_DAY), START)
    assert await _get(records, START) == _replay(b"new", at=START + A_DAY)


async def test_only_what_is_gone_is_removed(records: SqlRecords) -> None:
    await _add(records, _replay())
    await _add(records, _replay(name="younger", at=START + timedelta(seconds=1)))
    assert await within(records, lambda tx: tx.replays.forget(START - timedelta(microseconds=1))) == 0
    assert await within(records, lambda tx: tx.replays.forget(START)) == 1
    assert await within(records, lambda tx: tx.replays.forget(START)) == 0
    assert await _get(records, name="younger") is not None


async def test_of_two_at_once_the_second_waits_and_finds_what_the_first_wrote(
    postgres_url: str, clock: SteppedClock
) -> None:
    """In either order of the two processes, and when an old answer of the same name still lies there."""
    async with two_processes(postgres_url, clock) as both:
        await _add(both[0], _replay(b"old", at=BEFORE))
        for turn, (one, other) in enumerate((both, both[::-1])):
            since, mine = BEFORE + turn * A_DAY, _replay(b"%d" % turn, at=START + turn * A_DAY)
            async with one.begin() as tx:
                assert await tx.replays.add(mine, since)
                late = asyncio.create_task(_add(other, _replay(b"late", at=mine.created_at), since))
                await somebody_waits(postgres_url)
                assert not late.done()
            assert await late is False
            assert await _get(other, since) == mine


async def test_a_second_goes_on_when_the_first_is_rolled_back(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        late: list[asyncio.Task[bool]] = []

        async def add_and_fail(tx: Transaction) -> None:
            assert await tx.replays.add(_replay(b"first"), BEFORE)
            late.append(asyncio.create_task(_add(other, _replay(b"late"))))
            await somebody_waits(postgres_url)
            raise LookupError

        with pytest.raises(LookupError):
            await within(one, add_and_fail)
        assert await late[0] is True
        assert await _get(one) == _replay(b"late")


async def test_of_forty_connections_one_writes(postgres_url: str, clock: SteppedClock) -> None:
    """And what it writes beside the answer stands once."""

    async def submit(records: SqlRecords, number: int) -> bool:
        async with records.begin() as tx:
            if not await tx.replays.add(_replay(b"%d" % number), BEFORE):
                return False
            await tx.accounts.add(account(f"acct_{number}"))
            return True

    async with two_processes(postgres_url, clock) as both:
        wrote = await asyncio.gather(*(submit(both[number % 2], number) for number in range(40)))
        standing = await _get(both[0])
        written = await within(both[1], lambda tx: tx.accounts.all())
    assert standing is not None
    assert [number for number, one in enumerate(wrote) if one] == [int(standing.answer)]
    assert [one.account_id for one in written] == [f"acct_{int(standing.answer)}"]
