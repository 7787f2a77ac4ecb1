"""Wallets in the database: money that is there, that is held, and where it went."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from tiro.model.wallet import Balance, Charged, WalletEntry


class Wallets(Protocol):
    """A balance is guarded by one conditional update; every call names what shall be true and may be repeated."""

    async def balance(self, account_id: str) -> Balance:
        """Nothing was ever credited: zeros."""
        ...

    async def credit(
        self,
        account_id: str,
        amount_micros: int,
        *,
        name: str,
        note: str,
        now: datetime,
        below_micros: int | None = None,
    ) -> bool:
        """Add money once per `name`, only while the free balance is below `below_micros` (None: whatever it is); whether it was added."""
        ...

    async def hold(
        self, account_id: str, job_id: str, run: int, seconds: int, micros_per_hour: int, now: datetime
    ) -> WalletEntry:
        """Bring the hold of this run to the price of `seconds` in all (never less). Raises FundsShort, changing nothing.

        One that was released stays as it was.
        """
        ...

    async def capture(self, job_id: str, run: int, seconds: int, now: datetime) -> WalletEntry | None:
        """Bring what this run was charged to the price of `seconds` in all (never less, never more than is held). None: nothing is held."""
        ...

    async def release(self, job_id: str, run: int, now: datetime) -> None:
        """Give back what is held and was not charged; this run charges nothing more. Nothing happens without a hold."""
        ...

    async def charged(self, job_id: str) -> Charged:
        """What all runs of a job were charged."""
        ...

    async def entries(self, account_id: str, newest: int | None = None) -> list[WalletEntry]:
        """In the order in which they were begun; the last so many, or all."""
        ...

    async def open_holds(self) -> list[WalletEntry]:
        """Holds that were not released, of all accounts."""
        ...

    async def balances(self) -> dict[str, Balance]:
        """Account -> its wallet, for those that have one."""
        ...
