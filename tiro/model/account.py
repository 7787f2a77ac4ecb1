"""Who asks: accounts, their keys, and the plan that says what they may."""

from __future__ import annotations

from datetime import datetime

import msgspec

MIB = 1 << 20
GIB = 1 << 30


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an account may use. `minutes_month` None: unmetered. `weight`: its share under load. Money is micro-dollars."""

    name: str
    max_bytes: int
    max_duration_s: int
    max_jobs: int
    minutes_month: int | None
    overage_micros_per_minute: int | None
    weight: float
    max_keys: int = 20


PLANS: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(
            name="free",
            max_bytes=100 * MIB,
            max_duration_s=30 * 60,
            max_jobs=2,
            minutes_month=60,
            overage_micros_per_minute=None,
            weight=1.0,
        ),
        Plan(
            name="pro",
            max_bytes=2 * GIB,
            max_duration_s=10 * 3600,
            max_jobs=20,
            minutes_month=1_200,
            overage_micros_per_minute=40_000,
            weight=3.0,
        ),
        Plan(
            name="business",
            max_bytes=5 * GIB,
            max_duration_s=10 * 3600,
            max_jobs=50,
            minutes_month=6_000,
            overage_micros_per_minute=20_000,
            weight=5.0,
        ),
    )
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One customer. `unmetered`: minutes are not counted against the plan (the first account of an embedded server)."""

    account_id: str
    name: str
    plan: str
    created_at: datetime
    email: str | None = None
    verified: bool = False
    suspended: bool = False
    unmetered: bool = False
    overage: bool = False
    queueing: bool = True
    keep_audio: bool = False
    engines: tuple[str, ...] = ()
    running: int = 0


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: only its sha256 (hex). `hint` is its last four characters, to tell keys apart."""

    key_id: str
    account_id: str
    name: str
    sha256: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
