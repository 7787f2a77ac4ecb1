"""`tiro accounts`: who may use the service, on which plan, with which wallet, and with which webhook secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.console import data_option, folder_of, json_option, reaching, say, show_json, show_one, show_rows
from commands.wallets import credit, ledger

if TYPE_CHECKING:
    from api.admin.wire import AccountChange, AccountRow, PlanRow, Secret, UsageRow
    from commands.reach import Reach

_COLUMNS = {
    "account_id": "ACCOUNT",
    "name": "NAME",
    "plan": "PLAN",
    "unmetered": "UNMETERED",
    "overage": "OVERAGE",
    "suspended": "SUSPENDED",
    "keep_audio": "KEEPS AUDIO",
    "rotate_refresh": "ROTATES",
    "verified": "VERIFIED",
    "self_topup": "TOPS UP",
    "engines": "ENGINES",
    "running": "RUNNING",
    "created_at": "CREATED",
}
_PLAN_COLUMNS = {
    "name": "PLAN",
    "max_bytes": "BYTES",
    "max_duration_s": "SECONDS",
    "max_jobs": "AT ONCE",
    "minutes_month": "MINUTES A MONTH",
    "overage_micros_per_minute": "MICRO-DOLLARS A MINUTE BEYOND",
    "weight": "WEIGHT",
    "max_keys": "KEYS",
    "micros_per_hour": "MICRO-DOLLARS AN HOUR",
    "requests_minute": "REQUESTS A MINUTE",
    "starting_credit_micros": "STARTING MICRO-DOLLARS",
    "max_awaiting": "UPLOADS AWAITED",
    "accounts": "ACCOUNTS",
}
DEFAULT_CHAIN = "default"
account_argument = click.argument("account_id", metavar="ACCOUNT")
account_or_first = click.argument("account_id", metavar="[ACCOUNT]", required=False)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Not whether it is somebody's: only what nobody's can be."""
    if value is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise click.BadParameter(f"{value!r} is no e-mail address, such as jo@example.com.")
    return value


@click.group()
def accounts() -> None:
    """Accounts, their plans, usage, wallets and webhook secrets. ACCOUNT is an id; left out, it is the data folder's first account."""


accounts.add_command(credit)
accounts.add_command(ledger)


@accounts.command()
@click.argument("name")
@click.option("--plan", default="free", show_default=True, help="What it may use: `tiro accounts plans`.")
@click.option(
    "--email",
    callback=_address,
    help="Its owner's address, not verified until `tiro accounts verify`. Without one there is nothing to verify.",
)
@click.option("--verified", is_flag=True, help="The address is known to be its owner's.")
@click.option("--unmetered", is_flag=True, help="Minutes are not counted against the plan.")
@data_option
@json_option
def create(
    name: str, plan: str, email: str | None, data: Path | None, *, verified: bool, unmetered: bool, as_json: bool
) -> None:
    """A new account. It has no key yet: `tiro keys create --account`."""

    async def work(there: Reach) -> AccountRow:
        from api.admin.wire import AccountRow, AccountWish

        wish = AccountWish(name=name, plan=plan, email=email, verified=verified or None, unmetered=unmetered)
        return await there.post("/accounts", AccountRow, wish)

    show_one(reaching(data, work), as_json=as_json)


@accounts.command("list")
@data_option
@json_option
def list_accounts(data: Path | None, *, as_json: bool) -> None:
    """All accounts, oldest first."""

    async def work(there: Reach) -> list[AccountRow]:
        from api.admin.wire import AccountRows

        return (await there.get("/accounts", AccountRows)).accounts

    show_rows(reaching(data, work), _COLUMNS, as_json=as_json)


@accounts.command("show")
@account_or_first
@data_option
@json_option
def show_account(account_id: str | None, data: Path | None, *, as_json: bool) -> None:
    """One account and its switches."""

    async def work(there: Reach) -> AccountRow:
        from api.admin.wire import AccountRow
        from commands.reach import first_account

        return await there.get(f"/accounts/{first_account(folder_of(data), account_id)}", AccountRow)

    show_one(reaching(data, work), as_json=as_json)


@accounts.command("plans")
@data_option
@json_option
def list_plans(data: Path | None, *, as_json: bool) -> None:
    """The plans of the settings, and how many accounts are on each. Nothing under MINUTES: unmetered; under MICRO-DOLLARS: no overage."""

    async def work(there: Reach) -> list[PlanRow]:
        from api.admin.wire import PlanRows

        return (await there.get("/plans", PlanRows)).plans

    show_rows(reaching(data, work), _PLAN_COLUMNS, as_json=as_json)


@accounts.command("plan")
@account_argument
@click.argument("plan")
@data_option
@json_option
def change_plan(account_id: str, plan: str, data: Path | None, *, as_json: bool) -> None:
    """Put an account on another plan, from its next request on."""
    from api.admin.wire import AccountChange

    _change(data, account_id, AccountChange(plan=plan), as_json=as_json)


@accounts.command()
@account_argument
@data_option
@json_option
def verify(account_id: str, data: Path | None, *, as_json: bool) -> None:
    """The account's address is known to be its owner's."""
    from api.admin.wire import AccountChange

    _change(data, account_id, AccountChange(verified=True), as_json=as_json)


@accounts.command("set")
@account_argument
@click.option(
    "--overage/--no-overage",
    default=None,
    help="May go on, for money, when the month's minutes are spent (plans with a price for it).",
)
@click.option("--queueing/--no-queueing", default=None, help="Jobs beyond the plan's number wait, or are refused.")
@click.option("--suspend/--restore", "suspended", default=None, help="Its keys are refused, or taken again.")
@click.option(
    "--keep-audio/--no-keep-audio", default=None, help="Recordings stay until their job is deleted, or go in a day."
)
@click.option(
    "--rotate-refresh/--no-rotate-refresh", default=None, help="Refresh tokens are good for one use, or for 30 days."
)
@click.option(
    "--self-topup", type=click.Choice(["on", "off"]), help="It may credit its own wallet, or only its operator may."
)
@click.option(
    "--engines", help="Those of the chain that may hear its recordings, comma separated; default: the whole chain."
)
@data_option
@json_option
def change_switches(
    account_id: str,
    engines: str | None,
    self_topup: str | None,
    data: Path | None,
    *,
    overage: bool | None,
    queueing: bool | None,
    suspended: bool | None,
    keep_audio: bool | None,
    rotate_refresh: bool | None,
    as_json: bool,
) -> None:
    """Change switches of an account, from its next request on."""
    from api.admin.wire import AccountChange

    change = AccountChange(
        overage=overage,
        queueing=queueing,
        suspended=suspended,
        keep_audio=keep_audio,
        rotate_refresh=rotate_refresh,
        self_topup=None if self_topup is None else self_topup == "on",
        engines=None if engines is None else _engines_of(engines),
    )
    if change == AccountChange():
        raise click.UsageError("Say what to change: --overage, --queueing, --suspend, --keep-audio, --engines ...")
    _change(data, account_id, change, as_json=as_json)


@accounts.command()
@account_or_first
@click.option("--month", metavar="YYYY-MM", help="[default: this month, UTC]")
@data_option
@json_option
def usage(account_id: str | None, month: str | None, data: Path | None, *, as_json: bool) -> None:
    """Seconds used and held in a month, overage in micro-dollars, and the wallet as it is now."""

    async def work(there: Reach) -> UsageRow:
        from api.admin.wire import UsageRow
        from commands.reach import first_account

        account = first_account(folder_of(data), account_id)
        return await there.get(f"/accounts/{account}/usage", UsageRow, month=month)

    show_one(reaching(data, work), as_json=as_json)


@accounts.group("webhook-secret")
def webhook_secret() -> None:
    """The secret that signs an account's webhooks, and its change without a gap.

    `next` makes the coming one: give it to your receiver beside the present one. `activate` then signs with it; the one before signs
    along for 24 h.
    """


@webhook_secret.command()
@account_or_first
@data_option
@json_option
def show(account_id: str | None, data: Path | None, *, as_json: bool) -> None:
    """The secret that signs now."""
    _secret(data, account_id, "", as_json=as_json)


@webhook_secret.command("next")
@account_or_first
@data_option
@json_option
def make_next(account_id: str | None, data: Path | None, *, as_json: bool) -> None:
    """Make the coming secret, or show the one that waits."""
    _secret(data, account_id, "/next", as_json=as_json)


@webhook_secret.command()
@account_or_first
@data_option
@json_option
def activate(account_id: str | None, data: Path | None, *, as_json: bool) -> None:
    """Sign with the coming secret from now on."""
    _secret(data, account_id, "/activate", as_json=as_json)
    say("The secret before signs along for 24 h.")


def _engines_of(text: str) -> tuple[str, ...]:
    """() for the whole chain."""
    named = tuple(name.strip() for name in text.split(",") if name.strip())
    if not named:
        raise click.UsageError("--engines names engines of the chain, or says default.")
    return () if named == (DEFAULT_CHAIN,) else named


def _secret(data: Path | None, account_id: str | None, step: str, *, as_json: bool) -> None:
    async def work(there: Reach) -> Secret:
        from api.admin.wire import Secret
        from commands.reach import first_account

        path = f"/accounts/{first_account(folder_of(data), account_id)}/webhook-secret{step}"
        return await (there.post(path, Secret) if step else there.get(path, Secret))

    secret = reaching(data, work)
    if as_json:
        show_json(secret)
    else:
        click.echo(secret.secret)


def _change(data: Path | None, account_id: str, change: AccountChange, *, as_json: bool) -> None:
    async def work(there: Reach) -> AccountRow:
        from api.admin.wire import AccountRow

        return await there.patch(f"/accounts/{account_id}", AccountRow, change)

    show_one(reaching(data, work), as_json=as_json)
