"""How good is the estimate of what remains, looked at whenever a caller may look?"""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import accumulate

import pytest

from tests.contract.records_nouns import job
from tests.servers.databases import START
from tiro.services.jobs import progress_of

SPANS, SPAN_S, BEFORE_S = 24, 25.0, 5.0
"""An hour at six times real time, after some preparation."""


def _errors(seed: int) -> list[float]:
    """|estimate / truth - 1| at every second, from the fourth span until two minutes remain; spans take equally long, or a tenth off."""
    chance = random.Random(seed)
    ends = [BEFORE_S + end for end in accumulate(SPAN_S * chance.uniform(0.9, 1.1) for _ in range(SPANS))]
    found = []
    for at in range(int(ends[3]) + 1, int(ends[-1]) - 120):
        done = sum(end <= at for end in ends)
        seen = job(state="processing", started_at=START, spans_total=SPANS, spans_done=done, decoded_s=3600.0)
        eta_s = progress_of(seen, START + timedelta(seconds=at)).eta_s
        assert eta_s is not None
        found.append(abs(eta_s / (ends[-1] - at) - 1))
    return found


@pytest.mark.promise("J45")
@pytest.mark.parametrize("seed", range(10))
def test_the_estimate_of_a_steady_line_is_within_a_quarter(seed: int) -> None:
    """After the first spans, also between two of them: never a quarter off."""
    assert max(_errors(seed)) < 0.25


@pytest.mark.promise("J45")
def test_before_the_first_span_nothing_is_estimated() -> None:
    """And after the last nothing remains of them."""
    waiting = job(state="processing", started_at=START, spans_total=SPANS, decoded_s=3600.0)
    heard = job(state="processing", started_at=START, spans_total=SPANS, spans_done=SPANS, decoded_s=3600.0)
    later = START + timedelta(seconds=60)
    assert (progress_of(waiting, later).eta_s, progress_of(heard, later).eta_s) == (None, 0.0)
