"""Deliveries and their attempts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import literal, select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import deliveries, delivery_attempts
from tiro.model.hook import Attempt, Delivery, DeliveryState

_FOUND = ("at", "status", "error", "took_ms")


class SqlHooks:
    """The `Hooks` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, delivery: Delivery) -> None:
        await self._rows.insert_new(deliveries, write(delivery))

    async def get(self, event_id: str) -> Delivery | None:
        row = await self._rows.one(select(deliveries).where(deliveries.c.event_id == event_id))
        return None if row is None else read(Delivery, row)

    async def of_job(self, job_id: str) -> list[Delivery]:
        return (await self.of_jobs([job_id])).get(job_id, [])

    async def of_jobs(self, job_ids: Sequence[str]) -> dict[str, list[Delivery]]:
        found: dict[str, list[Delivery]] = {}
        if job_ids:
            query = select(deliveries).where(deliveries.c.job_id.in_(job_ids))
            for row in await self._rows.all(query.order_by(deliveries.c.created_at, deliveries.c.event_id)):
                delivery = read(Delivery, row)
                found.setdefault(delivery.job_id, []).append(delivery)
        return found

    async def record(self, attempt: Attempt, state: DeliveryState, next_attempt_at: datetime | None) -> Delivery | None:
        """An attempt made again under its number replaces what it found, but not its refusal when it was taken after all: that is one more.

        `delivered` and `stopped` are not taken back to `pending`.
        """
        row = await self._rows.one(
            select(deliveries).where(deliveries.c.event_id == attempt.event_id).with_for_update(key_share=True)
        )
        if row is None:
            return None
        delivery = read(Delivery, row)
        if delivery.state == "delivered" and attempt.number <= delivery.attempts:
            return delivery
        if state == "delivered" and attempt.number <= delivery.attempts:
            # made twice at once, by a worker that was thought lost, too: the refusal has been seen
            attempt = msgspec.structs.replace(attempt, number=delivery.attempts + 1)
        found = write(attempt)
        await self._rows.upsert(
            delivery_attempts,
            found,
            ("event_id", "number"),
            {f: literal(found[f], delivery_attempts.c[f].type) for f in _FOUND},
        )
        if delivery.state == "delivered" or (delivery.state == "stopped" and state != "delivered"):
            state, next_attempt_at = delivery.state, None
        delivered_at = delivery.delivered_at
        if state == "delivered" and delivered_at is None:
            delivered_at = attempt.at
        changed = msgspec.structs.replace(
            delivery,
            state=state,
            attempts=max(delivery.attempts, attempt.number),
            last_status=attempt.status,
            last_error=attempt.error,
            next_attempt_at=next_attempt_at,
            delivered_at=delivered_at,
        )
        await self._rows.run(update(deliveries).where(deliveries.c.event_id == attempt.event_id).values(write(changed)))
        return changed

    async def set_state(self, event_id: str, state: DeliveryState) -> None:
        values: dict[str, Any] = {"state": state}
        if state != "pending":
            values["next_attempt_at"] = None
        await self._rows.run(update(deliveries).where(deliveries.c.event_id == event_id).values(values))

    async def attempts(self, event_id: str) -> list[Attempt]:
        query = select(delivery_attempts).where(delivery_attempts.c.event_id == event_id)
        rows = await self._rows.all(query.order_by(delivery_attempts.c.number))
        return [read(Attempt, row) for row in rows]
