"""`tiro accounts`: switches, engines, plans, usage and webhook secrets, on an installation of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import main
from commands.embedded import Embedded
from commands.folder import DataFolder
from tests.unit.commands.shell import Shell
from tiro.adapters.database.migrate import migrate
from tiro.adapters.database.records import open_records
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.adapters.system import SystemClock
from tiro.model.ledger import HoldTerms, month_of
from tiro.ports import Transaction
from tiro.settings import Settings
from tiro.wiring import build_house

GOLD = """
[plans.gold]
max_bytes = 1000
max_duration_s = 60
max_jobs = 1
minutes_month = 10
overage_micros_per_minute = 50_000
weight = 1.0
"""


NOBODY = {"free": 0, "payg": 0, "pro": 0, "business": 0}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    migrate(shell.environ["TIRO_DATABASE_URL"])
    return shell


@pytest.fixture
def account(shell: Shell) -> str:
    return str(shell.told("accounts", "create", "customer", "--plan", "pro")["account_id"])


def _within(shell: Shell, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
    async def at_once() -> Any:
        records = open_records(shell.environ["TIRO_DATABASE_URL"], SystemClock())
        async with records.begin() as tx:
            done = await work(tx)
        await records.close()
        return done

    return asyncio.run(at_once())


@pytest.mark.promise("J1", "J9", "J39")
@pytest.mark.parametrize(
    ("on", "off", "field", "usually"),
    [
        ("--overage", "--no-overage", "overage", False),
        ("--queueing", "--no-queueing", "queueing", True),
        ("--suspend", "--restore", "suspended", False),
        ("--keep-audio", "--no-keep-audio", "keep_audio", False),
        ("--rotate-refresh", "--no-rotate-refresh", "rotate_refresh", False),
        ("--self-topup=on", "--self-topup=off", "self_topup", False),
    ],
)
def test_a_switch_is_turned_on_and_off_and_leaves_the_others_alone(
    shell: Shell, account: str, on: str, off: str, field: str, usually: bool
) -> None:
    before = shell.told("accounts", "show", account)
    assert before[field] is usually
    for word, value in ((on, True), (off, False)):
        assert shell.told("accounts", "set", account, word) == {**before, field: value}
        assert shell.told("accounts", "show", account) == {**before, field: value}


def test_engines_are_chosen_from_the_chain_and_given_back(shell: Shell, account: str) -> None:
    """Shown in the list, too."""
    chain = {"TIRO_ENGINES": "faster_whisper,assemblyai", "TIRO_ASSEMBLYAI_KEY": "k", "TIRO_WHISPER_MODEL": "small"}
    shell.environ |= chain
    for words, engines in (
        ("assemblyai", ["assemblyai"]),
        (" assemblyai, faster_whisper,assemblyai", ["assemblyai", "faster_whisper"]),
        ("default", []),
        ("faster_whisper", ["faster_whisper"]),
    ):
        assert shell.told("accounts", "set", account, "--engines", words)["engines"] == engines
    assert "faster_whisper" in shell.run("accounts", "list").stdout
    said = shell.run("accounts", "set", account, "--engines", "whisper", expect=1).output
    assert "'whisper' is not in the chain of this server; there are faster_whisper, assemblyai." in said
    assert shell.told("accounts", "show", account)["engines"] == ["faster_whisper"]
    assert "--engines" in shell.run("accounts", "set", account, "--engines", " , ", expect=2).output


def test_doctor_knows_an_account_whose_engines_have_left_the_chain(shell: Shell, account: str) -> None:
    shell.run("accounts", "set", account, "--engines", "scripted")
    assert "account_engines" not in shell.findings(1)
    found = shell.findings(1, TIRO_ENGINES="pocketsphinx")["account_engines"]
    assert (found["level"], account in found["text"], account in found["fix"]) == ("warn", True, True)


@pytest.mark.promise("J20")
def test_plans_of_the_settings_are_listed_with_who_is_on_them(shell: Shell, account: str, tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(GOLD)
    shell.environ["TIRO_PLANS"] = str(tmp_path / "plans.toml")
    shell.run("accounts", "plan", account, "gold")
    told = {row["name"]: row for row in shell.told("accounts", "plans")}
    assert {name: row["accounts"] for name, row in told.items()} == {**NOBODY, "gold": 1}
    assert (told["gold"]["minutes_month"], told["gold"]["overage_micros_per_minute"]) == (10, 50_000)
    assert (told["business"]["max_jobs"], told["free"]["overage_micros_per_minute"]) == (50, None)
    assert shell.told("accounts", "usage", account)["quota_s"] == 600
    said = shell.run("accounts", "plan", account, "silver", expect=1).output
    assert "There is no plan 'silver'; there are free, payg, pro, business, gold." in said


@pytest.mark.promise("T30")
def test_an_account_has_no_more_keys_than_its_plan_allows(shell: Shell, account: str, tmp_path: Path) -> None:
    """One that is revoked makes room."""
    (tmp_path / "plans.toml").write_text(f"{GOLD}max_keys = 2\n")
    shell.environ["TIRO_PLANS"] = str(tmp_path / "plans.toml")
    shell.run("accounts", "plan", account, "gold")
    wanted = ("keys", "create", "--account", account, "--name", "laptop")
    first, _ = shell.told(*wanted), shell.told(*wanted)
    assert "This plan allows 2 keys; revoke one first." in shell.run(*wanted, expect=1).output
    shell.run("keys", "revoke", first["key"]["key_id"])
    shell.run(*wanted)
    assert len(shell.told("keys", "list")) == 3


@pytest.mark.promise("J20")
def test_a_plan_that_the_settings_have_lost_is_told_at_the_start_and_by_doctor(
    shell: Shell, account: str, tmp_path: Path
) -> None:
    """No process serves then; the command line still puts the account on another plan."""
    (tmp_path / "plans.toml").write_text(GOLD)
    shell.run("accounts", "plan", account, "gold", TIRO_PLANS=str(tmp_path / "plans.toml"))
    said = shell.run("serve", "--port", "0", expect=1).output
    assert "1 account is on the plan 'gold', which is not in the settings: name it in TIRO_PLANS." in said
    found = shell.findings(1)["plan_missing"]
    assert (found["level"], "gold" in found["text"], "TIRO_PLANS" in found["fix"]) == ("fail", True, True)
    assert "plan" in shell.run("accounts", "usage", account, expect=1).output
    shell.run("accounts", "plan", account, "free")
    assert shell.findings(1)["accounts"]["level"] == "ok"


@pytest.mark.promise("J20", "J22")
def test_usage_tells_minutes_and_money_of_a_month(shell: Shell, account: str) -> None:
    """Seconds inside the plan and beyond, and micro-dollars; another month has its own books."""

    async def work(tx: Transaction) -> str:
        now = SystemClock().now()
        terms, month = HoldTerms(quota_s=60, overage_micros_per_minute=40_000), month_of(now)
        await tx.ledger.hold(account, "job_1", 1, 150, month, terms, now)
        await tx.ledger.capture("job_1", 1, 150, terms, now)
        await tx.ledger.hold(account, "job_2", 1, 30, month, terms, now)
        return month

    month = _within(shell, work)
    told = shell.told("accounts", "usage", account)
    assert told == {
        "account_id": account,
        "month": month,
        "quota_s": 1_200 * 60,
        "used_s": 60,
        "held_s": 0,
        "overage_used_s": 90,
        "overage_held_s": 30,
        "overage_micros": 60_000,
        "balance_micros": 0,
        "held_micros": 0,
    }
    assert shell.told("accounts", "usage", account, "--month", "2020-01")["used_s"] == 0


@pytest.mark.promise("J2", "J37")
def test_a_webhook_secret_is_shown_and_changed_in_two_steps_and_lies_sealed(
    shell: Shell, account: str, tmp_path: Path
) -> None:
    """show, next (the same until it is used), activate; none of them in the clear in the database."""

    def said(*words: str, expect: int = 0) -> str:
        return shell.run("accounts", "webhook-secret", *words, account, expect=expect).output.strip().splitlines()[0]

    first = said("show")
    assert re.fullmatch(r"whsec_[\w-]{43}", first)
    assert "make one first" in said("activate", expect=1)
    following = said("next")
    assert (said("next"), said("show")) == (following, first)
    assert said("activate") == following == said("show") != first
    secrets = _within(shell, lambda tx: tx.accounts.webhook_secrets(account))
    assert (secrets.next, secrets.previous is None) == (None, False)
    lying = b"".join(file.read_bytes() for file in tmp_path.glob("tiro.db*"))
    assert b"customer" in lying
    assert not [secret for secret in (first, following) if secret.encode() in lying]


@pytest.mark.promise("J20")
def test_the_first_account_of_an_embedded_server_is_unmetered_and_need_not_be_named(tmp_path: Path) -> None:
    """Else it would end with a 402 one day."""
    folder = DataFolder(tmp_path / "data")
    with folder.held() as lock:
        settings = folder.settings({"TIRO_ENGINES": "scripted"}, 8080)
        migrate(settings.database_url)
        asyncio.run(_first_account(Embedded(folder, lock, 0, {}, print), settings))
    result = CliRunner().invoke(
        main, ["accounts", "show", "--data", str(folder.path), "--json"], env={"TIRO_DATABASE_URL": None}
    )
    told = json.loads(result.stdout)
    assert (told["unmetered"], told["plan"], told["verified"]) == (True, "business", True)


async def _first_account(embedded: Embedded, settings: Settings) -> None:
    house = build_house(settings, RecordedOrchestrator())
    await embedded._first_account(house)
    await asyncio.to_thread(house.preparer.close)
    await house.records.close()


def test_lists_are_json_for_a_pipe(shell: Shell, account: str) -> None:
    assert [row["account_id"] for row in json.loads(shell.run("accounts", "list", "--json").stdout)] == [account]
