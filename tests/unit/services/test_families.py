"""Which refresh token follows which? The rules of a family, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.desk import Desk
from tiro.adapters.fakes import CountedIds
from tiro.model.errors import Unauthenticated
from tiro.model.family import GRACE, Family, Successor, use
from tiro.services.families import Families

pytestmark = pytest.mark.promise("J1")

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIVES = timedelta(days=30)
TICK = timedelta(microseconds=1)


def _family(**fields: object) -> Family:
    return Family(**{"family_id": "fam_1", "until": NOW + LIVES, **fields})  # type: ignore[arg-type]


def test_within_its_grace_a_token_has_the_successor_that_it_had() -> None:
    """Not a microsecond later; a lost answer costs nobody a session."""
    family, first = use(_family(), 0, NOW, LIVES)
    assert first == Successor(1, NOW)
    assert use(family, 0, NOW + GRACE, LIVES) == (family, first)
    revoked, none = use(family, 0, NOW + GRACE + TICK, LIVES)
    assert none is None
    assert revoked.revoked_at == NOW + GRACE + TICK


def test_the_grace_is_each_tokens_own() -> None:
    """Also when its successor has been used meanwhile."""
    family, first = use(_family(), 0, NOW, LIVES)
    family, _ = use(family, 1, NOW + GRACE / 2, LIVES)
    family, _ = use(family, 2, NOW + GRACE / 2, LIVES)
    assert use(family, 0, NOW + GRACE, LIVES)[1] == first
    assert use(family, 1, NOW + GRACE, LIVES)[1] == Successor(2, NOW + GRACE / 2)
    assert use(family, 0, NOW + GRACE + TICK, LIVES)[1] is None


def test_a_family_that_is_revoked_has_no_use_for_any_token() -> None:
    revoked = _family(generation=3, revoked_at=NOW)
    for generation in range(5):
        assert use(revoked, generation, NOW, LIVES) == (revoked, None)


def test_a_token_that_a_restored_backup_does_not_know_is_good() -> None:
    family, successor = use(_family(generation=2, used=(NOW,)), 5, NOW + GRACE * 9, LIVES)
    assert successor == Successor(6, NOW + GRACE * 9)
    assert (family.generation, family.used) == (6, (NOW + GRACE * 9,))


def test_a_family_lives_as_long_as_its_youngest_token() -> None:
    family, _ = use(_family(), 0, NOW + LIVES / 2, LIVES)
    assert family.until == NOW + LIVES / 2 + LIVES


@given(st.lists(st.integers(0, 90), min_size=1, max_size=60))
def test_whoever_always_uses_the_last_answer_is_never_refused(pauses_s: list[int]) -> None:
    """However fast; and the row stays small."""
    family, generation, now = _family(), 0, NOW
    for pause_s in pauses_s:
        now += timedelta(seconds=pause_s)
        family, successor = use(family, generation, now, LIVES)
        assert successor is not None
        generation = successor.generation
        assert len(family.used) <= 20


async def test_a_reuse_is_logged_once_and_without_the_token(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    families = Families(desk.records, desk.clock, CountedIds())
    await families.use("fam_1", 0, lives=LIVES)
    desk.clock.step(61)
    for _ in range(3):
        with pytest.raises(Unauthenticated) as refused:
            await families.use("fam_1", 0, lives=LIVES)
        assert refused.value.code == "invalid_refresh_token"
    assert [record.message for record in caplog.records if record.name == "tiro.families"] == [
        "a refresh token of fam_1 was used again: all tokens of this family are refused"
    ]


async def test_a_sweep_forgets_families_that_have_ended(desk: Desk) -> None:
    await Families(desk.records, desk.clock, CountedIds()).use("fam_1", 0, lives=LIVES)
    desk.clock.step(LIVES.total_seconds())
    await desk.upkeep.sweep()
    async with desk.records.begin() as tx:
        assert await tx.families.get("fam_1") is None
