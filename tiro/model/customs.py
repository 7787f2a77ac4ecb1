"""What holds for all jobs of one dialect: which purse pays, and how long results are kept. In the core's words, found by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

Purse = Literal["minutes", "wallet"]


class Custom(msgspec.Struct, frozen=True):
    """`minutes`: the plan's minutes of the month and overage; `wallet`: micro-dollars. `kept_for` None: until it is deleted.

    `turns_away`: an account that does not queue is refused while its slots are taken; elsewhere what comes waits in line all the same.
    """

    purse: Purse
    kept_for: timedelta | None = None
    turns_away: bool = False


CUSTOMS: dict[str, Custom] = {
    "jobs": Custom("minutes", turns_away=True),
    "transcribe": Custom("wallet", kept_for=timedelta(days=30)),
}
"""By dialect."""
