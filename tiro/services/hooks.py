"""One attempt to deliver a webhook: what is sent, how it is signed, and what its answer means."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec

from tiro.model.errors import Conflict, NotFound
from tiro.model.hook import Attempt, Delivery, DeliveryState
from tiro.ports import Answer, Blobs, Clock, Courier, Records, Vault
from tiro.sign import SCHEMES

TIMEOUT_S = 10.0


class Tried(msgspec.Struct, frozen=True):
    """Where the delivery stands after an attempt."""

    event_id: str
    state: DeliveryState
    status: int | None = None


class Hooks:
    """Sends webhook events. The body is the same bytes on every attempt; an attempt that is on record is not made again."""

    def __init__(self, records: Records, blobs: Blobs, vault: Vault, courier: Courier, clock: Clock) -> None:
        self._records = records
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
        return await self._record(delivery, number, started, answer, next_in_s)

    async def replay(self, event_id: str) -> Tried:
        """Send an event that is no longer under way once more, now. Raises NotFound, Conflict `delivery_pending`."""
        async with self._records.begin() as tx:
            delivery = await tx.hooks.get(event_id)
        if delivery is None:
            raise NotFound("event_not_found", "There is no such event.")
        if delivery.state == "pending":
            raise Conflict("delivery_pending", "This event is still being delivered.")
        started = self._clock.now()
        return await self._record(delivery, delivery.attempts + 1, started, await self._send(delivery), None)

    async def _send(self, delivery: Delivery) -> Answer:
        body = await asyncio.to_thread(self._blobs.get, delivery.body.key)
        headers = await self._headers(delivery, body)
        return await self._courier.post(delivery.url, headers, body, TIMEOUT_S)

    async def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        now = self._clock.now()
        async with self._records.begin() as tx:
            secrets = await tx.accounts.webhook_secrets(delivery.account_id)
        if secrets is None:
            raise NotFound("account_not_found", "The account of this event is gone.")
        previous = None
        if secrets.previous is not None and secrets.previous_until is not None and now < secrets.previous_until:
            previous = self._vault.open(secrets.previous).decode()
        signed = SCHEMES[delivery.scheme](self._vault.open(secrets.active).decode(), body, now, previous)
        return {"Content-Type": "application/json", **signed}

    async def _record(
        self, delivery: Delivery, number: int, started: datetime, answer: Answer, next_in_s: float | None
    ) -> Tried:
        delivered = answer.status is not None and 200 <= answer.status < 300
        state: DeliveryState = "delivered" if delivered else "pending" if next_in_s is not None else "exhausted"
        next_at = started + timedelta(seconds=next_in_s) if state == "pending" and next_in_s is not None else None
        attempt = Attempt(
            event_id=delivery.event_id,
            number=number,
            at=started,
            status=answer.status,
            error=answer.error,
            took_ms=answer.took_ms,
        )
        async with self._records.begin() as tx:
            kept = await tx.hooks.record(attempt, state, next_at)
        return Tried(delivery.event_id, kept.state if kept else "stopped", answer.status)
