"""Which of the server's own keys signs webhooks now, and which are published: made when first needed, changed in two steps."""

from __future__ import annotations

from datetime import datetime, timedelta

from tiro.model.errors import Conflict
from tiro.model.signing import SigningKey, SigningState
from tiro.ports import Clock, Ids, Records, Transaction, Vault
from tiro.sign.ed25519 import public_half

PUBLISHED_FIRST = timedelta(minutes=15)
"""A key is published so long before it signs: receivers and caches on the way keep the document for some minutes."""
OVERLAP = timedelta(hours=24)
"""A key that no longer signs is published so long: what it signed may wait in a receiver's own queue."""


class Signing:
    """The server's signing keys v1, v2, ...: one `active`, at most one `next`, and those before while they are published."""

    def __init__(self, records: Records, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._records = records
        self._vault = vault
        self._clock = clock
        self._ids = ids

    async def signer(self) -> tuple[str, bytes]:
        """(key id, private bytes) of the active key; the first is made here. Raises Permanent `unsealable`."""
        keys = await self._keys()
        (active,) = (key for key in keys if key.state == "active")
        return active.key_id, self._vault.open(active.sealed)

    async def published(self) -> list[SigningKey]:
        """What receivers may meet a signature of, oldest first."""
        now = self._clock.now()
        return [key for key in await self._keys() if key.retired_at is None or now < key.retired_at]

    async def prepare(self) -> SigningKey:
        """The key that will sign after `activate`, from now on published; the one that stands when there is one."""
        await self._keys()
        async with self._records.begin() as tx:
            await tx.signing_keys.forget(self._clock.now())
            keys = await tx.signing_keys.all()
            if not any(key.state == "next" for key in keys):
                # whoever is first makes it, and both see the same
                await tx.signing_keys.add(self._new("next", 1 + max(_number(key) for key in keys)))
        async with self._records.begin() as tx:
            return _in_state(await tx.signing_keys.all(), "next")

    async def activate(self, *, compromised: bool = False) -> SigningKey:
        """`next` signs from now on, and the key before is published for `OVERLAP`.

        `compromised`: at once, and the key before is published no more: what it signed is to be refused.
        Raises Conflict `no_next_key`, or `next_key_too_new` with `at` in extras.
        """
        now = self._clock.now()
        async with self._records.begin() as tx:
            upcoming = _in_state(await tx.signing_keys.all(), "next")
            if not compromised and now < upcoming.created_at + PUBLISHED_FIRST:
                raise _too_early(upcoming.created_at + PUBLISHED_FIRST)
            if not await tx.signing_keys.activate(upcoming.key_id, now, now if compromised else now + OVERLAP):
                raise _no_next()
            await tx.signing_keys.forget(now)
            return _in_state(await tx.signing_keys.all(), "active")

    async def _keys(self) -> list[SigningKey]:
        async with self._records.begin() as tx:
            keys = await tx.signing_keys.all()
            if any(key.state == "active" for key in keys):
                return keys
            return await self._first(tx)

    async def _first(self, tx: Transaction) -> list[SigningKey]:
        """Two processes may come here at once: one of them adds it, both read it."""
        await tx.signing_keys.add(self._new("active", 1))
        return await tx.signing_keys.all()

    def _new(self, state: SigningState, number: int) -> SigningKey:
        private = self._ids.secret(32)
        return SigningKey(
            key_id=f"v{number}",
            sealed=self._vault.seal(private),
            public=public_half(private),
            state=state,
            created_at=self._clock.now(),
        )


def _in_state(keys: list[SigningKey], state: SigningState) -> SigningKey:
    found = [key for key in keys if key.state == state]
    if not found:
        raise _no_next()
    return found[0]


def _number(key: SigningKey) -> int:
    return int(key.key_id.removeprefix("v"))


def _no_next() -> Conflict:
    return Conflict(
        "no_next_key", "There is no next key: make one first (`tiro hooks keys next`), and let receivers see it."
    )


def _too_early(at: datetime) -> Conflict:
    return Conflict(
        "next_key_too_new",
        f"Receivers may still hold a copy of the document without the next key; it may sign from {at:%H:%M:%S} UTC on.",
        at=at.isoformat(),
    )
