"""Which refresh token comes after which? A family: tokens that came of one exchange of a key, each used once."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

GRACE = timedelta(seconds=60)
"""Answers get lost: so long after its first use a token is answered as it was then."""
_REMEMBERED = 20
"""First uses that are kept at most; whoever refreshes more often than that has had its answers."""


class Successor(msgspec.Struct, frozen=True):
    """The token that follows: the same number and moment make the same token."""

    generation: int
    made_at: datetime


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """`generation`: that of the youngest token. `used`: when those just before it were first used, oldest first.

    `until`: when the last of its tokens has expired.
    """

    family_id: str
    until: datetime
    generation: int = 0
    used: tuple[datetime, ...] = ()
    revoked_at: datetime | None = None


def use(family: Family, generation: int, now: datetime, lives: timedelta) -> tuple[Family, Successor | None]:
    """What using this generation's token makes of the family, and what follows it. None: it was used before, all are revoked."""
    if family.revoked_at is not None:
        return family, None
    if generation >= family.generation:
        # a generation that is not known yet is one that a restored backup has forgotten
        before = family.used if generation == family.generation else ()
        used = (*_in_grace(before, now), now)[-_REMEMBERED:]
        grown = msgspec.structs.replace(family, generation=generation + 1, used=used, until=now + lives)
        return grown, Successor(generation + 1, now)
    place = generation - (family.generation - len(family.used))
    if place >= 0 and now <= family.used[place] + GRACE:
        return family, Successor(generation + 1, family.used[place])
    return msgspec.structs.replace(family, revoked_at=now), None


def _in_grace(used: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    """Without those at the front that are over."""
    over = next((place for place, first in enumerate(used) if now <= first + GRACE), len(used))
    return used[over:]
