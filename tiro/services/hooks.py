"""One attempt to deliver a webhook: what is sent, how it is signed, and what its answer means."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from tiro.model.errors import Conflict, NotFound, Permanent
from tiro.model.hook import Attempt, Delivery, DeliveryState, SealedUrl
from tiro.ports import Answer, Blobs, Clock, Courier, Records, Vault
from tiro.services.signing import Signing
from tiro.sign import KEY_SCHEMES, SCHEMES

TIMEOUT_S = 10.0


def sealed(vault: Vault, url: str) -> SealedUrl:
    """A webhook's address as jobs and events keep it."""
    return SealedUrl(vault.seal(url.encode()), urlsplit(url).hostname or "")


class Tried(msgspec.Struct, frozen=True):
    """Where the delivery stands after an attempt."""

    event_id: str
    state: DeliveryState
    status: int | None = None


class Hooks:
    """Sends webhook events. The body is the same bytes on every attempt; an attempt that is on record is not made again."""

    def __init__(
        self, records: Records, blobs: Blobs, vault: Vault, courier: Courier, clock: Clock, signing: Signing
    ) -> None:
        self._records = records
        self._signing = signing
        self._blobs = blobs
        self._vault = vault
        self._courier = courier
        self._clock = clock

    async def attempt(self, event_id: str, number: int, next_in_s: float | None) -> Tried:
        """Make attempt `number` (from 1); `next_in_s` None: it is the last. Transient errors are ours, never the receiver's."""
        async with self._records.begin() as tx:
            delivery = await tx.hooks.get(event_id)
            if delivery is None:
                return Tried(event_id, "stopped")
            if delivery.state != "pending" or delivery.attempts >= number:
                return Tried(event_id, delivery.state, delivery.last_status)
        started = self._clock.now()
        answer = await self._send(delivery)
        next_at = None if next_in_s is None else started + timedelta(seconds=next_in_s)
        otherwise: DeliveryState = "exhausted" if next_at is None else "pending"
        return await self._record(delivery, number, started, answer, otherwise, next_at)

    async def replay(self, event_id: str) -> Tried:
        """One more attempt, now, for an operator who asks; the state stays as it was unless it is taken. Raises NotFound, Conflict."""
        async with self._records.begin() as tx:
            delivery = await tx.hooks.get(event_id)
        if delivery is None:
            raise NotFound("event_not_found", "There is no such event.")
        if delivery.state == "pending":
            raise Conflict("still_delivering", "The event is still being delivered by its schedule.")
        started = self._clock.now()
        answer = await self._send(delivery)
        return await self._record(delivery, delivery.attempts + 1, started, answer, delivery.state)

    async def _send(self, delivery: Delivery) -> Answer:
        try:
            body = await asyncio.to_thread(self._blobs.get, delivery.body.key)
            headers = await self._headers(delivery, body)
            url = self._vault.open(delivery.url.sealed).decode()
        except Permanent as broken:
            # no body, or no secret or address that opens: an attempt that failed, so that the event comes to an end all the same
            return Answer(None, broken.code, 0)
        return await self._courier.post(url, headers, body, TIMEOUT_S)

    async def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        if delivery.scheme in KEY_SCHEMES:
            key_id, private = await self._signing.signer()
            signed = KEY_SCHEMES[delivery.scheme](key_id, private, body, self._clock.now())
        else:
            signed = await self._by_secret(delivery, body)
        return {"Content-Type": "application/json", **signed}

    async def _by_secret(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        now = self._clock.now()
        async with self._records.begin() as tx:
            secrets = await tx.accounts.webhook_secrets(delivery.account_id)
        if secrets is None:
            raise NotFound("account_not_found", "The account of this event is gone.")
        previous = None
        if secrets.previous is not None and secrets.previous_until is not None and now < secrets.previous_until:
            previous = self._vault.open(secrets.previous).decode()
        return SCHEMES[delivery.scheme](self._vault.open(secrets.active).decode(), body, now, previous)

    async def _record(
        self,
        delivery: Delivery,
        number: int,
        started: datetime,
        answer: Answer,
        otherwise: DeliveryState,
        next_at: datetime | None = None,
    ) -> Tried:
        """Write the attempt: delivered when it was taken with any 2xx, `otherwise` if not."""
        delivered = answer.status is not None and 200 <= answer.status < 300
        attempt = Attempt(
            event_id=delivery.event_id,
            number=number,
            at=started,
            status=answer.status,
            error=answer.error,
            took_ms=answer.took_ms,
        )
        state: DeliveryState = "delivered" if delivered else otherwise
        async with self._records.begin() as tx:
            kept = await tx.hooks.record(attempt, state, None if delivered else next_at)
        return Tried(delivery.event_id, kept.state if kept else "stopped", answer.status)
