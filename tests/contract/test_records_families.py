"""Does a family of refresh tokens stand once, and is it used by one process at a time?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from tests.contract.records_nouns import two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.adapters.fakes import CountedIds, SetClock
from tiro.model.errors import Unauthenticated
from tiro.model.family import Family
from tiro.services.families import Families

pytestmark = pytest.mark.promise("J1")

LIVES = timedelta(days=30)
FRESH = Family(family_id="fam_1", until=START + LIVES)


async def test_a_family_comes_back_as_it_was_saved(records: SqlRecords) -> None:
    assert await within(records, lambda tx: tx.families.get("fam_1")) is None
    assert await within(records, lambda tx: tx.families.lock(FRESH)) == FRESH
    grown = msgspec.structs.replace(
        FRESH, generation=2, used=(START, START + timedelta(microseconds=7)), revoked_at=START, until=START
    )
    await within(records, lambda tx: tx.families.save(grown))
    assert await within(records, lambda tx: tx.families.get("fam_1")) == grown
    assert await within(records, lambda tx: tx.families.lock(FRESH)) == grown


async def test_only_families_whose_tokens_have_expired_are_removed(records: SqlRecords) -> None:
    await within(records, lambda tx: tx.families.lock(FRESH))
    later = msgspec.structs.replace(FRESH, family_id="fam_2", until=FRESH.until + timedelta(seconds=1))
    await within(records, lambda tx: tx.families.lock(later))
    assert await within(records, lambda tx: tx.families.forget(FRESH.until - timedelta(microseconds=1))) == 0
    assert await within(records, lambda tx: tx.families.forget(FRESH.until)) == 1
    assert await within(records, lambda tx: tx.families.get("fam_1")) is None
    assert await within(records, lambda tx: tx.families.get("fam_2")) == later


async def test_of_uses_at_once_all_have_one_successor(records: SqlRecords, clock: SteppedClock) -> None:
    """The first of a family, and one in its midst."""
    families = Families(records, clock, CountedIds())
    for generation in range(2):
        answers = await asyncio.gather(*(families.use("fam_1", generation, lives=LIVES) for _ in range(8)))
        assert len(set(answers)) == 1
        assert answers[0].generation == generation + 1


async def test_two_processes_give_one_token_one_successor(postgres_url: str, clock: SteppedClock) -> None:
    """Whichever comes first, with clocks that differ."""
    async with two_processes(postgres_url, clock) as both:
        clocks = (SetClock(START), SetClock(START + timedelta(seconds=5)))
        processes = [Families(records, own, CountedIds()) for records, own in zip(both, clocks, strict=True)]
        for generation in range(4):
            uses = (processes[n % 2].use("fam_1", generation, lives=LIVES) for n in range(20))
            answers = await asyncio.gather(*uses)
            assert len(set(answers)) == 1


async def test_what_is_revoked_stays_revoked_for_all_processes(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as both:
        here = SetClock(START)
        one, other = (Families(records, here, CountedIds()) for records in both)
        await one.use("fam_1", 0, lives=LIVES)
        here.advance(61)
        with pytest.raises(Unauthenticated):
            await other.use("fam_1", 0, lives=LIVES)
        with pytest.raises(Unauthenticated):
            await one.use("fam_1", 1, lives=LIVES)
