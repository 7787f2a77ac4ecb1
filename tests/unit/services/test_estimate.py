"""How good is the estimate of what remains, looked at whenever a caller may look?"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from tests.contract.records_nouns import job
from tests.servers.databases import START
from tiro.model.pace import Beat, Hearing, beaten
from tiro.services.jobs import progress_of

LATEST_S = 120.0
"""From here on the last spans alone decide."""
LOOKS = 100


class Line(msgspec.Struct, frozen=True):
    """Spans of about `span_s`, `lanes` of them heard at once and `flight` under way, which come every `every_s` after a fetch."""

    lanes: int
    span_s: float
    spans: int = 24
    flight: int = 0
    fetch_s: float = 5.0
    every_s: float = 0.0

    @property
    def under_way(self) -> int:
        """Without a queue before the engine: as many as are heard."""
        return self.flight or self.lanes

    def run(self, seed: int) -> list[tuple[float, float]]:
        """(begun, done) of every span, as they are done; a span takes up to a tenth more or less than another."""
        chance = random.Random(seed)
        places, engines = [self.fetch_s] * self.under_way, [self.fetch_s] * self.lanes
        spans = []
        for index in range(self.spans):
            begun_s = max(heapq.heappop(places), self.fetch_s + index * self.every_s)
            done_s = max(begun_s, heapq.heappop(engines)) + self.span_s * chance.uniform(0.9, 1.1)
            heapq.heappush(places, done_s)
            heapq.heappush(engines, done_s)
            spans.append((begun_s, done_s))
        return sorted(spans, key=lambda span: span[1])


def _looks(line: Line, seed: int) -> Iterator[tuple[float, float]]:
    """(estimate, truth), from when a quarter is done, and a round of all lanes, and all is known, until two minutes remain."""
    run = line.run(seed)
    ends = [done_s for _, done_s in run]
    paces: list[tuple[Beat, ...]] = [()]
    for begun_s, done_s in run:
        hearing = Hearing(START + timedelta(seconds=begun_s), bisect_right(ends, begun_s))
        paces.append(beaten(paces[-1], hearing, START, START + timedelta(seconds=done_s)))
    begin_s = max(ends[max(line.spans // 4, line.under_way) - 1], line.fetch_s + line.spans * line.every_s)
    for step in range(LOOKS):
        at_s = begin_s + step * (ends[-1] - LATEST_S - begin_s) / LOOKS
        done = bisect_right(ends, at_s)
        row = job(state="processing", started_at=START, spans_total=line.spans, spans_done=done, pace=paces[done])
        eta_s = progress_of(msgspec.structs.replace(row, decoded_s=3600.0), START + timedelta(seconds=at_s)).eta_s
        assert eta_s is not None
        yield eta_s, ends[-1] - at_s


LINES = {
    "an hour at six times real time": Line(1, 25.0),
    "two lanes": Line(2, 50.0),
    "four lanes": Line(4, 100.0),
    "eight lanes": Line(8, 200.0),
    "sixteen lanes": Line(16, 200.0),
    "ten hours in two lanes": Line(2, 50.0, spans=240),
    "ten hours in eight lanes": Line(8, 60.0, spans=240),
    "ten hours in sixteen lanes": Line(16, 100.0, spans=240),
    "a fetch longer than the hearing": Line(1, 25.0, fetch_s=1800.0),
    "a slow fetch before eight lanes": Line(8, 200.0, fetch_s=900.0),
    "four under way at one engine": Line(1, 25.0, flight=4),
    "sixteen under way at one engine": Line(1, 25.0, flight=16),
    "six under way at three engines": Line(3, 75.0, flight=6),
    "sixteen under way at four engines": Line(4, 100.0, flight=16),
    "spans that come slowly to one engine": Line(1, 25.0, flight=4, every_s=5.0),
    "spans that come slowly to eight lanes": Line(8, 200.0, every_s=5.0),
}


@pytest.mark.promise("J45")
@pytest.mark.parametrize("name", LINES)
def test_the_estimate_is_within_a_quarter(name: str) -> None:
    """However many spans are under way at once, and whatever went before them; also between two of them."""
    errors = [abs(eta_s / truth_s - 1) for seed in range(20) for eta_s, truth_s in _looks(LINES[name], seed)]
    assert max(errors) < 0.25


@pytest.mark.promise("J45")
def test_an_interruption_puts_off_what_remains_once() -> None:
    """While nobody hears, the estimate stands still; it neither grows without end nor falls to nothing."""
    pace = tuple(Beat(n, n - 1, 25.0 * (n - 1), 25.0 * n) for n in range(1, 7))
    stuck = job(state="processing", started_at=START, spans_total=24, spans_done=6, decoded_s=3600.0, pace=pace)
    told = [progress_of(stuck, START + timedelta(seconds=150 + late_s)).eta_s for late_s in (0, 10, 25, 600, 6000)]
    assert told == [450.0, 440.0, 425.0, 425.0, 425.0]


@pytest.mark.promise("J45")
def test_without_a_span_that_was_heard_nothing_is_estimated() -> None:
    """Nor while their number is not known; what was found done from a run before says nothing; after the last nothing remains."""
    later = START + timedelta(seconds=60)
    one = (Beat(1, 0, 5.0, 30.0),)

    def eta_s(**fields: object) -> float | None:
        values = {"spans_total": 24, "decoded_s": 3600.0} | fields
        return progress_of(job(state="processing", started_at=START, **values), later).eta_s

    assert eta_s() is None
    assert eta_s(spans_done=12) is None
    assert eta_s(spans_done=1, spans_total=None, pace=one) is None
    assert eta_s(spans_done=24) == 0.0
    assert eta_s(spans_done=23, pace=one) == 1.0
