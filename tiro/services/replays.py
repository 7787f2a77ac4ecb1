"""Has this been answered before? A request that carries a key of its own is carried out once, however often it comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from tiro.model.errors import Conflict
from tiro.model.job import Job
from tiro.model.replay import Replay
from tiro.ports import Transaction
from tiro.services.accounts import digest

KEPT_FOR = timedelta(hours=24)
"""At most: upkeep forgets what is older."""


class Once(msgspec.Struct, frozen=True):
    """A request that is to be carried out once in `kept_for`. `name` as `name_of` made it, `fingerprint` of all that it asks."""

    name: str
    fingerprint: str
    answer: Callable[[Job], bytes]
    """The body of the answer to a new job, in the words of the dialect."""
    kept_for: timedelta = KEPT_FOR


def name_of(account_id: str, operation: str, key: str) -> str:
    """Under what an answer is kept: the same key of another account, or to another operation (`POST /jobs`), is another."""
    return digest(f"{account_id}\0{operation}\0{key}")


async def stands(tx: Transaction, name: str, now: datetime) -> bool:
    """Whether something was answered under that name, whatever was asked."""
    return await tx.replays.get(name, now - KEPT_FOR) is not None


async def found(tx: Transaction, once: Once, now: datetime) -> Replay | None:
    """What was answered. Raises Conflict `idempotency_conflict` when something else was asked."""
    replay = await tx.replays.get(once.name, now - once.kept_for)
    if replay is not None and replay.fingerprint != once.fingerprint:
        raise Conflict("idempotency_conflict", "This Idempotency-Key came with another request before.")
    return replay


async def claimed(tx: Transaction, once: Once, job: Job) -> Replay | None:
    """None: this transaction carries it out, and its answer is kept. Else what another answered first, raising as `found`."""
    mine = Replay(once.name, once.fingerprint, once.answer(job), job.created_at)
    while not await tx.replays.add(mine, job.created_at - once.kept_for):
        # it may have come to its end between the two
        replay = await found(tx, once, job.created_at)
        if replay is not None:
            return replay
    return None
