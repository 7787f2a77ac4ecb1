"""`tiro keys`: API keys of accounts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.console import data_option, folder_of, json_option, reaching, say, show_json, show_rows

if TYPE_CHECKING:
    from api.admin.wire import KeyRow, NewKeyRow
    from commands.reach import Reach

_COLUMNS = {
    "key_id": "KEY",
    "account_id": "ACCOUNT",
    "name": "NAME",
    "hint": "ENDS IN",
    "created_at": "CREATED",
    "last_used_at": "LAST USED",
    "revoked_at": "REVOKED",
}
account_option = click.option("--account", help="Account id. [default: the first account of the data folder]")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@account_option
@click.option("--name", default="", help="To tell keys apart.")
@data_option
@json_option
def create(account: str | None, name: str, data: Path | None, *, as_json: bool) -> None:
    """A new key. Its text is shown now and never again."""

    async def work(there: Reach) -> NewKeyRow:
        from api.admin.wire import KeyWish, NewKeyRow
        from commands.reach import first_account

        wish = KeyWish(first_account(folder_of(data), account), name or "key")
        return await there.post("/keys", NewKeyRow, wish)

    made = reaching(data, work)
    if as_json:
        show_json(made)
        return
    click.echo(made.text)
    say(f"{made.key.key_id} of {made.key.account_id}. Keep the text: it is not shown again.")


@keys.command("list")
@click.option("--account", help="Only those of this account.")
@data_option
@json_option
def list_keys(account: str | None, data: Path | None, *, as_json: bool) -> None:
    """Keys, without their texts."""

    async def work(there: Reach) -> list[KeyRow]:
        from api.admin.wire import KeyRows

        return (await there.get("/keys", KeyRows, account=account)).keys

    show_rows(reaching(data, work), _COLUMNS, as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="KEY")
@data_option
def revoke(key_id: str, data: Path | None) -> None:
    """Refuse this key, and every token made from it, from now on. KEY is its id (key_...), not its text."""
    reaching(data, lambda there: there.delete(f"/keys/{key_id}"))
    say(f"{key_id} is revoked.")
