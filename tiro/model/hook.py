"""Webhooks: the event, where it stands, and the schedule of its attempts as data."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec

from tiro.model.blob import BlobRef

DeliveryState = Literal["pending", "delivered", "exhausted", "stopped"]

SCHEDULES_S: dict[str, tuple[float, ...]] = {
    "jobs": (0, 10, 30, 120, 600, 1800, 3600, *(3600.0 * n for n in range(2, 25))),
    "transcribe": (0, 60, 300, 1800, 3 * 3600.0, 12 * 3600.0),
}
"""Seconds after the end of the job at which each attempt is made, by dialect. The last lies at most 24 h after the end."""


class SealedUrl(msgspec.Struct, frozen=True):
    """A webhook's address at rest: sealed (`Vault`), since it may carry a token; its host in plain, for operators and fairness."""

    sealed: bytes
    host: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event to one address. The body lies in the blob store and is the same on every attempt."""

    event_id: str
    job_id: str
    account_id: str
    dialect: str
    event: str
    url: SealedUrl
    scheme: str
    body: BlobRef
    created_at: datetime
    state: DeliveryState = "pending"
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try. `status` None: no answer; then `error` is a code (timeout, refused, forbidden_address, ...)."""

    event_id: str
    number: int
    at: datetime
    status: int | None
    error: str | None
    took_ms: int


class WebhookSecrets(msgspec.Struct, frozen=True):
    """An account's signing secrets, sealed. `previous` is signed along until `previous_until`; `next` waits to be activated."""

    active: bytes
    next: bytes | None = None
    previous: bytes | None = None
    previous_until: datetime | None = None


class DeliveryTask(msgspec.Struct, frozen=True):
    """What the delivery's workflow is told: which event, and after how many seconds each attempt is made."""

    event_id: str
    delays_s: tuple[float, ...]


def delays_s(dialect: str, scale: float = 1.0, late_s: float = 0.0) -> tuple[float, ...]:
    """What is left of the dialect's schedule so long after the job's end, stretched by `scale`; the first attempt is always made."""
    _, *later = SCHEDULES_S[dialect]
    return (0.0, *((at_s - late_s) * scale for at_s in later if at_s > late_s))


def host_key(url: SealedUrl) -> str:
    """A receiver's fairness key: a digest, since the host names of customers are not for histories."""
    return "host_" + sha256(url.host.encode()).hexdigest()[:16]
