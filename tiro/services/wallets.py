"""How does money come into a wallet, and what became of it? Operators credit, and accounts that may; jobs spend through `Billing`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from tiro.model.errors import Invalid, Permanent
from tiro.model.wallet import MICROS, Balance, WalletEntry, start_of
from tiro.ports import Clock, Ids, Records, Transaction
from tiro.services.accounts import digest, existing

TOP_UP_DOLLARS = range(5, 101)
SAME_WITHIN = timedelta(seconds=10)
"""The same amount by the same key so soon is the same wish."""
MAX_MICROS = 1_000_000 * MICROS
"""Of one credit."""


class TopUpDisabled(Permanent):
    """This account does not credit itself: its operator does."""

    code = "top_up_disabled"


class ToppedUp(msgspec.Struct, frozen=True):
    """The wallet as it is now; `added`: this call put something in."""

    balance: Balance
    added: bool


class _NotAdded(Exception):
    """The transaction leaves nothing behind, not even that it was asked for."""


class Wallets:
    """Money of accounts, as they and operators see it."""

    def __init__(self, records: Records, clock: Clock, ids: Ids) -> None:
        self._records = records
        self._clock = clock
        self._ids = ids

    async def balance(self, account_id: str) -> Balance:
        """Raises NotFound."""
        async with self._records.begin() as tx:
            await existing(tx, account_id)
            return await tx.wallets.balance(account_id)

    async def entries(self, account_id: str, newest: int | None = None) -> Sequence[WalletEntry]:
        """What became of the money, oldest first; the last so many lines, or all. Raises NotFound."""
        async with self._records.begin() as tx:
            await existing(tx, account_id)
            return await tx.wallets.entries(account_id, newest)

    async def credit(self, account_id: str, amount_micros: int, note: str) -> Balance:
        """An operator adds money; each call anew. Raises NotFound, Invalid."""
        if not 0 < amount_micros <= MAX_MICROS:
            raise Invalid(
                "invalid_request", "A credit is more than nothing and at most a million dollars.", param="amount"
            )
        name = f"credit/{self._ids.new('crd')}"
        async with self._records.begin() as tx:
            await existing(tx, account_id)
            await tx.wallets.credit(account_id, amount_micros, name=name, note=note, now=self._clock.now())
            return await tx.wallets.balance(account_id)

    async def top_up(
        self, account_id: str, key_id: str, dollars: float, if_balance_below: float | None = None
    ) -> ToppedUp:
        """An account that may credits itself, in whole dollars; the same wish within ten seconds counts once.

        `if_balance_below`, in dollars: only while less is free. Raises NotFound, TopUpDisabled, Invalid.
        """
        try:
            async with self._records.begin() as tx:
                if not (await existing(tx, account_id)).self_topup:
                    raise TopUpDisabled(message="The operator of this server adds the credit of this account.")
                await self._add(tx, account_id, key_id, _whole(dollars) * MICROS, _micros(if_balance_below))
                return ToppedUp(await tx.wallets.balance(account_id), added=True)
        except _NotAdded:
            return ToppedUp(await self.balance(account_id), added=False)

    async def endow(self, account_id: str, amount_micros: int) -> bool:
        """The money that an account begins with, and its leave to credit itself: once, and whether it was now. Raises NotFound."""
        now = self._clock.now()
        async with self._records.begin() as tx:
            account = await existing(tx, account_id)
            added = await tx.wallets.credit(
                account_id, amount_micros, name=start_of(account_id), note="starting credit", now=now
            )
            if added:
                await tx.accounts.save(msgspec.structs.replace(account, self_topup=True))
        return added

    async def _add(
        self, tx: Transaction, account_id: str, key_id: str, amount_micros: int, below_micros: int | None
    ) -> None:
        """Raises _NotAdded, after which the transaction must not be committed."""
        now = self._clock.now()
        wish = digest("\0".join(("top up", account_id, key_id, str(amount_micros))))
        # whoever wishes the same at the same moment, in whatever process, waits here until this one is in or not
        if await tx.limits.take(wish, 1, SAME_WITHIN, now) is not None:
            raise _NotAdded
        added = await tx.wallets.credit(
            account_id,
            amount_micros,
            name=f"topup/{self._ids.new('top')}",
            note=f"by key {key_id}",
            now=now,
            below_micros=below_micros,
        )
        if not added:
            raise _NotAdded


def _whole(dollars: float) -> int:
    """Raises Invalid."""
    if dollars not in TOP_UP_DOLLARS:
        bounds = f"{TOP_UP_DOLLARS.start} to {TOP_UP_DOLLARS.stop - 1}"
        raise Invalid("invalid_request", f"The amount is {bounds} whole dollars.", param="amount")
    return int(dollars)


def _micros(dollars: float | None) -> int | None:
    """A bound as a wallet knows it: nothing is below zero, and beyond the largest it is none. Raises Invalid."""
    if dollars is None:
        return None
    if math.isnan(dollars):
        raise Invalid("invalid_request", "if_balance_below is a number of dollars.", param="if_balance_below")
    return round(min(max(dollars, 0), 1_000 * MAX_MICROS / MICROS) * MICROS)
