"""`tiro accounts credit`, `ledger`, `verify` and `usage`: an account's money at the command line, and that of the first account."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from commands.embedded import Embedded
from commands.folder import Credentials, DataFolder
from tests.unit.commands.shell import Shell
from tiro.adapters.database.migrate import migrate
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.model.account import Account
from tiro.model.wallet import Balance
from tiro.services.house import House
from tiro.wiring import build_house

TEN_THOUSAND = Balance(10_000_000_000)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    migrate(shell.environ["TIRO_DATABASE_URL"])
    return shell


@pytest.fixture
def account(shell: Shell) -> str:
    return str(shell.told("accounts", "create", "customer", "--plan", "payg")["account_id"])


def test_a_credit_is_in_the_wallet_and_in_the_ledger(shell: Shell, account: str) -> None:
    """To the micro-dollar, with its note."""
    told = shell.told("accounts", "credit", account, "20", "--note", "invoice 7")
    assert told == {"account_id": account, "balance_micros": 20_000_000, "held_micros": 0}
    assert shell.told("accounts", "credit", account, "0.000001")["balance_micros"] == 20_000_001
    usage = shell.told("accounts", "usage", account)
    assert (usage["balance_micros"], usage["held_micros"]) == (20_000_001, 0)
    lines = shell.told("accounts", "ledger", account)
    assert [(line["kind"], line["amount_micros"], line["note"]) for line in lines] == [
        ("credit", 20_000_000, "invoice 7"), ("credit", 1, ""),
    ]  # fmt: skip
    assert [line["amount_micros"] for line in shell.told("accounts", "ledger", account, "--limit", "1")] == [1]
    assert "invoice 7" in shell.run("accounts", "ledger", account).stdout


@pytest.mark.parametrize(
    "amount", ["0", "-5", "ten", "nan", "inf", "1e400", "1e99999999999999999999", "0.0000001", "1000001"]
)
def test_what_is_no_amount_of_dollars_is_refused_in_words(shell: Shell, account: str, amount: str) -> None:
    assert "DOLLARS" in shell.run("accounts", "credit", account, "--", amount, expect=2).output
    assert shell.told("accounts", "ledger", account) == []


def test_an_unknown_account_has_no_wallet(shell: Shell) -> None:
    for words in (("credit", "acct_x", "5"), ("ledger", "acct_x"), ("verify", "acct_x")):
        said = shell.run("accounts", *words, expect=1).output
        assert "There is no such account. `tiro accounts list`" in said


@pytest.mark.parametrize("email", ["jo", "@example.com", "jo@", "jo @example.com", "a@b@c"])
def test_what_is_no_address_is_refused_in_words(shell: Shell, email: str) -> None:
    assert "no e-mail address" in shell.run("accounts", "create", "jo", "--email", email, expect=2).output
    assert shell.told("accounts", "list") == []


@pytest.mark.promise("T32")
def test_an_account_with_an_address_waits_to_be_verified(shell: Shell, account: str) -> None:
    """One that an operator makes without an address is as good as verified."""
    assert shell.told("accounts", "show", account)["verified"] is True
    made = shell.told("accounts", "create", "jo", "--email", "jo@example.com")
    assert (made["email"], made["verified"]) == ("jo@example.com", False)
    for _ in range(2):
        assert shell.told("accounts", "verify", made["account_id"])["verified"] is True
    assert shell.told("accounts", "show", made["account_id"]) == {**made, "verified": True}
    known = shell.told("accounts", "create", "al", "--email", "al@example.com", "--verified")
    assert known["verified"] is True


class _Folder:
    """A data folder, and starts of its server as far as the first account."""

    def __init__(self, path: Path) -> None:
        self.folder = DataFolder(path)
        with self.folder.held():
            self.settings = self.folder.settings({"TIRO_ENGINES": "scripted"}, 8080)
            migrate(self.settings.database_url)

    def house(self) -> House:
        return build_house(self.settings, RecordedOrchestrator())

    async def start(self) -> tuple[Account, Balance] | None:
        """The first account as it then is, if there is one."""
        house = self.house()
        with self.folder.held() as lock:
            account_id = (await Embedded(self.folder, lock, 0, {}, print)._first_account(house)).account
        async with house.records.begin() as tx:
            account, balance = await tx.accounts.get(account_id), await tx.wallets.balance(account_id)
        await asyncio.to_thread(house.preparer.close)
        await house.records.close()
        return None if account is None else (account, balance)


@pytest.mark.promise("T9")
async def test_the_first_account_of_an_embedded_server_has_more_than_it_needs_once(tmp_path: Path) -> None:
    """However often its server starts; and it may credit itself."""
    folder = _Folder(tmp_path / "data")
    for _ in range(2):
        started = await folder.start()
        assert started is not None
        account, balance = started
        assert (account.self_topup, balance) == (True, TEN_THOUSAND)


async def test_a_data_folder_of_an_earlier_version_gets_its_money_at_the_next_start(tmp_path: Path) -> None:
    folder = _Folder(tmp_path / "data")
    house = folder.house()
    account = await house.accounts.create("first", "business", verified=True, unmetered=True)
    folder.folder.save_credentials(Credentials(account.account_id, "tsk_live_x"))
    await asyncio.to_thread(house.preparer.close)
    await house.records.close()
    assert await folder.start() == (msgspec.structs.replace(account, self_topup=True), TEN_THOUSAND)


async def test_a_folder_whose_records_are_gone_starts_all_the_same(tmp_path: Path) -> None:
    """Its key is then a stranger's, as before."""
    folder = _Folder(tmp_path / "data")
    folder.folder.save_credentials(Credentials("acct_gone", "tsk_live_x"))
    assert await folder.start() is None
