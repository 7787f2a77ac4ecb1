"""`tiro accounts credit` and `ledger`: money into a wallet, and what became of it."""

from __future__ import annotations

from decimal import Decimal, DecimalException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.console import data_option, folder_of, json_option, reaching, show_one, show_rows
from tiro.model.wallet import MICROS

if TYPE_CHECKING:
    from api.admin.wire import LedgerRow, WalletRow
    from commands.reach import Reach

_COLUMNS = {
    "created_at": "BEGAN",
    "kind": "KIND",
    "amount_micros": "MICRO-DOLLARS",
    "seconds": "SECONDS",
    "micros_per_hour": "AN HOUR",
    "job_id": "JOB",
    "run": "RUN",
    "note": "NOTE",
}
MOST_DOLLARS = 1_000_000


class Dollars(click.ParamType[int]):
    """An amount such as 20 or 12.50, as micro-dollars."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Exactly, to the micro-dollar."""
        try:
            micros = Decimal(str(value)) * MICROS
        except DecimalException:
            self.fail(f"{value!r} is no amount of dollars.", param, ctx)
        if not (micros.is_finite() and 0 < micros <= MOST_DOLLARS * MICROS and micros == micros.to_integral_value()):
            self.fail(f"{value!r} is not more than 0 and at most {MOST_DOLLARS:,}, to the micro-dollar.", param, ctx)
        return int(micros)


@click.command()
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("amount_micros", metavar="DOLLARS", type=Dollars())
@click.option("--note", default="", help="Why, for the ledger.")
@data_option
@json_option
def credit(account_id: str, amount_micros: int, note: str, data: Path | None, *, as_json: bool) -> None:
    """Put money into an account's wallet, once each time that this is said. What it was told by mistake cannot be taken back."""

    async def work(there: Reach) -> WalletRow:
        from api.admin.wire import CreditWish, WalletRow

        return await there.post(f"/accounts/{account_id}/credit", WalletRow, CreditWish(amount_micros, note))

    show_one(reaching(data, work), as_json=as_json)


@click.command()
@click.argument("account_id", metavar="[ACCOUNT]", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many, the newest."
)
@data_option
@json_option
def ledger(account_id: str | None, limit: int, data: Path | None, *, as_json: bool) -> None:
    """What became of the money in a wallet: credits, holds, captures and releases, oldest first."""

    async def work(there: Reach) -> list[LedgerRow]:
        from api.admin.wire import LedgerRows
        from commands.reach import first_account

        account = first_account(folder_of(data), account_id)
        return (await there.get(f"/accounts/{account}/ledger", LedgerRows, limit=limit)).entries

    show_rows(reaching(data, work), _COLUMNS, as_json=as_json)
