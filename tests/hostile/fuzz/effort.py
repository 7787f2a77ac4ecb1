"""How long is tried? Little and always the same in the suite; by hand as often as FUZZ_TIMES says, and each time something else."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def effort(examples: int) -> settings:
    """So many examples, or FUZZ_TIMES as many. No deadline: the machine may be busy."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        # fixtures hold no state of an example
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
