"""Money in the database: a wallet changes only by an UPDATE that carries its own condition.

At every moment held = the sum over open holds of what they hold less what their run was charged, and the balance = credits less
captures. Locks are taken in one order: the run's hold, then the wallet.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Label, RowMapping, and_, exists, func, select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import wallet_entries as entries
from tiro.adapters.database.tables import wallets
from tiro.model.wallet import Balance, Charged, FundsShort, WalletEntry, WalletEntryKind, cost_micros


class SqlWallets:
    """The `Wallets` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def balance(self, account_id: str) -> Balance:
        row = await self._rows.one(select(wallets).where(wallets.c.account_id == account_id))
        return Balance() if row is None else read(Balance, row)

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
        await self._open(account_id)
        credit = WalletEntry(
            account_id=account_id,
            job_id=name,
            run=0,
            kind="credit",
            amount_micros=amount_micros,
            note=note,
            created_at=now,
        )
        if not await self._rows.insert_new(entries, write(credit)):
            return False
        guard = wallets.c.account_id == account_id
        if below_micros is not None:
            guard &= wallets.c.balance_micros - wallets.c.held_micros < below_micros
        more = {"balance_micros": wallets.c.balance_micros + amount_micros}
        if await self._rows.run(update(wallets).where(guard).values(more)) == 1:
            return True
        await self._rows.run(entries.delete().where(_of(name, 0, "credit")))
        return False

    async def hold(
        self, account_id: str, job_id: str, run: int, seconds: int, micros_per_hour: int, now: datetime
    ) -> WalletEntry:
        await self._open(account_id)
        fresh = WalletEntry(
            account_id=account_id,
            job_id=job_id,
            run=run,
            kind="hold",
            amount_micros=0,
            micros_per_hour=micros_per_hour,
            created_at=now,
        )
        # the entry first: whoever comes second with the same run waits here, and then finds it
        new = await self._rows.insert_new(entries, write(fresh))
        hold = await self._locked_hold(job_id, run)
        assert hold is not None
        price = hold.micros_per_hour
        more = cost_micros(seconds, price) - hold.amount_micros
        if seconds <= hold.seconds or await self._entry(job_id, run, "release") is not None:
            return hold
        wallet = wallets.c.account_id == account_id
        enough = wallets.c.balance_micros - wallets.c.held_micros >= more
        taken = update(wallets).where(wallet, enough).values(held_micros=wallets.c.held_micros + more)
        if await self._rows.run(taken) != 1:
            if new:
                await self._rows.run(entries.delete().where(_of(job_id, run, "hold")))
            free = (await self.balance(account_id)).free_micros
            raise FundsShort(None, "The balance is too low.", required_micros=more, balance_micros=free)
        return await self._grow(hold, seconds, hold.amount_micros + more)

    async def capture(self, job_id: str, run: int, seconds: int, now: datetime) -> WalletEntry | None:
        hold = await self._locked_hold(job_id, run)
        if hold is None:
            return None
        charged = await self._entry(job_id, run, "capture")
        seconds = min(seconds, hold.seconds)
        if await self._entry(job_id, run, "release") is not None or (charged and seconds <= charged.seconds):
            return charged
        if charged is None:
            charged = WalletEntry(
                account_id=hold.account_id,
                job_id=job_id,
                run=run,
                kind="capture",
                amount_micros=0,
                micros_per_hour=hold.micros_per_hour,
                created_at=now,
            )
            await self._rows.insert_new(entries, write(charged))
        amount = cost_micros(seconds, hold.micros_per_hour)
        more = amount - charged.amount_micros
        spent = {"balance_micros": wallets.c.balance_micros - more, "held_micros": wallets.c.held_micros - more}
        await self._rows.run(update(wallets).where(wallets.c.account_id == hold.account_id).values(spent))
        return await self._grow(charged, seconds, amount)

    async def release(self, job_id: str, run: int, now: datetime) -> None:
        hold = await self._locked_hold(job_id, run)
        if hold is None:
            return
        charged = await self._entry(job_id, run, "capture")
        rest = hold.amount_micros - (charged.amount_micros if charged else 0)
        ending = WalletEntry(
            account_id=hold.account_id,
            job_id=job_id,
            run=run,
            kind="release",
            amount_micros=rest,
            seconds=hold.seconds - (charged.seconds if charged else 0),
            micros_per_hour=hold.micros_per_hour,
            created_at=now,
        )
        if await self._rows.insert_new(entries, write(ending)):
            back = update(wallets).where(wallets.c.account_id == hold.account_id)
            await self._rows.run(back.values(held_micros=wallets.c.held_micros - rest))

    async def charged(self, job_id: str) -> Charged:
        def total(column: Column[int]) -> Label[int]:
            return func.coalesce(func.sum(column), 0).label(column.name)

        query = select(total(entries.c.seconds), total(entries.c.amount_micros))
        row = await self._rows.one(query.where(entries.c.job_id == job_id, entries.c.kind == "capture"))
        assert row is not None
        return Charged(int(row["seconds"]), int(row["amount_micros"]))

    async def entries(self, account_id: str, newest: int | None = None) -> list[WalletEntry]:
        query = select(entries).where(entries.c.account_id == account_id).order_by(entries.c.number.desc())
        rows = await self._rows.all(query.limit(newest))
        return [read(WalletEntry, row) for row in reversed(rows)]

    async def open_holds(self) -> list[WalletEntry]:
        ending = entries.alias()
        ended = exists().where(
            ending.c.job_id == entries.c.job_id, ending.c.run == entries.c.run, ending.c.kind == "release"
        )
        query = select(entries).where(entries.c.kind == "hold", ~ended).order_by(entries.c.number)
        return [read(WalletEntry, row) for row in await self._rows.all(query)]

    async def balances(self) -> dict[str, Balance]:
        rows = await self._rows.all(select(wallets))
        return {row["account_id"]: read(Balance, row) for row in rows}

    async def _open(self, account_id: str) -> None:
        await self._rows.insert_new(wallets, {"account_id": account_id, **write(Balance())})

    async def _grow(self, entry: WalletEntry, seconds: int, amount_micros: int) -> WalletEntry:
        this = _of(entry.job_id, entry.run, entry.kind)
        row = await self._rows.one(
            update(entries).where(this).values(seconds=seconds, amount_micros=amount_micros).returning(entries)
        )
        assert row is not None
        return read(WalletEntry, row)

    async def _locked_hold(self, job_id: str, run: int) -> WalletEntry | None:
        return _entry_of(await self._rows.one(select(entries).where(_of(job_id, run, "hold")).with_for_update()))

    async def _entry(self, job_id: str, run: int, kind: WalletEntryKind) -> WalletEntry | None:
        return _entry_of(await self._rows.one(select(entries).where(_of(job_id, run, kind))))


def _entry_of(row: RowMapping | None) -> WalletEntry | None:
    return None if row is None else read(WalletEntry, row)


def _of(job_id: str, run: int, kind: WalletEntryKind) -> ColumnElement[bool]:
    return and_(entries.c.job_id == job_id, entries.c.run == run, entries.c.kind == kind)
