"""Minutes and money: how a hold is split between the month's minutes and overage, and what a capture charges. Integers only."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

import msgspec

EntryKind = Literal["hold", "capture", "release"]


class Usage(msgspec.Struct, frozen=True):
    """A month of one account, in seconds: captured (`used_s`), held, and captured or held beyond the plan."""

    month: str
    used_s: int
    held_s: int
    overage_used_s: int
    overage_held_s: int
    overage_micros: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger. For (job, run) there is at most one hold and one of capture or release."""

    account_id: str
    job_id: str
    run: int
    kind: EntryKind
    month: str
    included_s: int
    overage_s: int
    amount_micros: int
    created_at: datetime


class HoldTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms under which seconds are held. `quota_s` None: unmetered. `overage_micros_per_minute` None: no overage."""

    quota_s: int | None
    overage_micros_per_minute: int | None


class Charge(msgspec.Struct, frozen=True):
    """What was captured."""

    billed_s: int
    overage_s: int
    amount_micros: int


def billable_seconds(decoded_s: float) -> int:
    """Decoded seconds, rounded up to the next second; 600.0 -> 600, 600.001 -> 601. Sub-microsecond dust is not a second."""
    return math.ceil(round(decoded_s, 6))


def month_of(moment: datetime) -> str:
    """`YYYY-MM` of an aware moment in UTC."""
    if moment.utcoffset() is None:
        raise ValueError("an aware datetime is needed")
    return f"{moment.astimezone(UTC):%Y-%m}"


def month_after(moment: datetime) -> datetime:
    """The first moment of the next month in UTC: when minutes begin anew."""
    utc = moment.astimezone(UTC)
    return datetime(utc.year + utc.month // 12, utc.month % 12 + 1, 1, tzinfo=UTC)


def split(seconds: int, remaining_s: int | None) -> tuple[int, int]:
    """(included, overage) seconds when `remaining_s` of the month are left (None: unmetered)."""
    if remaining_s is None:
        return seconds, 0
    included = max(0, min(seconds, remaining_s))
    return included, seconds - included


def overage_cost_micros(overage_s: int, micros_per_minute: int) -> int:
    """Per second at the minute's price, rounded half up to a micro-dollar."""
    return (overage_s * micros_per_minute * 2 + 60) // 120
