"""How long will the rest of a run's spans take, going by those that were heard?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

KEPT = 32
"""Twice the spans that are under way at once, at scale: a full round is seen however they fall."""
LEAST_S = 1.0
"""Nothing is said to be over that is not."""


class Hearing(msgspec.Struct, frozen=True):
    """A span begins to be heard: when, and how many of its run had been heard by then."""

    begun_at: datetime
    after: int


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """The `number`-th span that was heard began when `after` had been. Times are seconds since the run began."""

    number: int
    after: int
    begun_s: float
    done_s: float


def beaten(pace: Sequence[Beat], hearing: Hearing, run_began: datetime, now: datetime) -> tuple[Beat, ...]:
    """The pace with one more span heard; only the last are kept."""
    number = pace[-1].number + 1 if pace else 1
    begun_s, done_s = (round((moment - run_began).total_seconds(), 3) for moment in (hearing.begun_at, now))
    return (*pace, Beat(number, hearing.after, begun_s, done_s))[-KEPT:]


def remaining_s(pace: Sequence[Beat], left: int, now_s: float) -> float:
    """Until the last of `left` spans is done. As many spans after it as are under way at once, one is done a span's time later.

    So it is where each has a lane of its own and their ends come in bunches, where all share one engine, and in between. What is late
    puts off everything behind it, once.
    """
    last = pace[-1].number
    ends_s = {beat.number: beat.done_s for beat in pace}
    if pace[0].number == 1:
        ends_s[0] = max(beat.begun_s for beat in pace if beat.after == 0)
    first = min(ends_s)
    lanes = min(_lanes(pace), last - first)
    spans_s = [ends_s[number] - ends_s[number - lanes] for number in range(first + lanes, last + 1)]
    span_s = sum(spans_s) / len(spans_s)
    rounds, beyond = divmod(left - 1, lanes)
    oldest = last + 1 - lanes
    end_s = ends_s[oldest + beyond] + (rounds + 1) * span_s
    late_s = max(0.0, now_s - ends_s[oldest] - span_s)
    return max(LEAST_S, end_s + late_s - now_s)


def _lanes(pace: Sequence[Beat]) -> int:
    """How many are under way at once: of those that began before the n-th was done, so many came after it, for the n where it is most."""
    before = pace[0].number - 1
    afters = sorted(max(beat.after, before) for beat in pace)
    return max(before + place - after for place, after in enumerate(afters, 1))
