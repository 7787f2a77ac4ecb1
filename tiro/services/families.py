"""Was this refresh token used before? Families of tokens, the same for all processes."""

from __future__ import annotations

import logging
from datetime import timedelta

from tiro.model.errors import Unauthenticated
from tiro.model.family import Family, Successor, use
from tiro.ports import Clock, Ids, Records

log = logging.getLogger("tiro.families")


class Families:
    """For accounts whose refresh tokens rotate. A family is written down when its first token is used."""

    def __init__(self, records: Records, clock: Clock, ids: Ids) -> None:
        self._records = records
        self._clock = clock
        self._ids = ids

    def new_id(self) -> str:
        """For the tokens of one exchange."""
        return self._ids.new("fam")

    async def use(self, family_id: str, generation: int, *, lives: timedelta) -> Successor:
        """What follows the token of this generation, and lives so long; two uses at once have the same successor.

        Raises Unauthenticated `invalid_refresh_token`: the family is revoked, or it is now, because this token is used again.
        """
        now = self._clock.now()
        async with self._records.begin() as tx:
            before = await tx.families.lock(Family(family_id=family_id, until=now + lives))
            after, successor = use(before, generation, now, lives)
            if after != before:
                await tx.families.save(after)
        if successor is not None:
            return successor
        if before.revoked_at is None:
            log.warning("a refresh token of %s was used again: all tokens of this family are refused", family_id)
        raise Unauthenticated("invalid_refresh_token", "The token is not valid.")
