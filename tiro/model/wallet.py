"""Money of an account, in micro-dollars: what there is, what is held for jobs under way, and what a second costs. Integers only."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from tiro.model.errors import Permanent

MICROS = 1_000_000
"""Of one dollar."""
WalletEntryKind = Literal["credit", "hold", "capture", "release"]


class FundsShort(Permanent):
    """The wallet does not hold so much; `required_micros` and `balance_micros` in extras."""

    code = "insufficient_funds"


class Balance(msgspec.Struct, frozen=True):
    """`balance_micros`: credits less charges; `held_micros` of it is set aside for jobs under way."""

    balance_micros: int = 0
    held_micros: int = 0

    @property
    def free_micros(self) -> int:
        """What can still be held."""
        return self.balance_micros - self.held_micros


class Charged(msgspec.Struct, frozen=True):
    """What was taken for a job, all its runs together."""

    seconds: int
    amount_micros: int


class WalletEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. For (job, run) at most one hold and one capture, which grow while it runs, and one release, which ends both.

    A credit has no job: `job_id` is then the name under which it counts once.
    """

    account_id: str
    job_id: str
    run: int
    kind: WalletEntryKind
    amount_micros: int
    seconds: int = 0
    micros_per_hour: int = 0
    note: str = ""
    created_at: datetime


def start_of(account_id: str) -> str:
    """The name of the credit that an account begins with: it has one."""
    return f"start/{account_id}"


def cost_micros(seconds: int, micros_per_hour: int) -> int:
    """Per second at the hour's price, rounded half up: 709 s at 150,000 are 29,542."""
    return (seconds * micros_per_hour * 2 + 3600) // 7200
