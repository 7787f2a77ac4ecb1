"""Plans as settings: what an operator may change, and that a slip is told by plan and field."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from tiro import settings
from tiro.model.errors import Invalid
from tiro.model.plans import DEFAULT_PLANS, Plan
from tiro.settings import Settings

pytestmark = pytest.mark.promise("J20")

USUAL = {plan.name: plan for plan in DEFAULT_PLANS}
GOLD = """
[plans.gold]
max_bytes = 1000
max_duration_s = 60
max_jobs = 1
minutes_month = "none"
overage_micros_per_minute = "none"
weight = 2.5
"""


def _read(folder: Path, text: str | None = None, environ: dict[str, str] | None = None) -> Settings:
    toml = folder / "tiro.toml"
    if text is not None:
        toml.write_text(text)
    needed = {
        "TIRO_DATABASE_URL": f"sqlite:///{folder / 'tiro.db'}",
        "TIRO_BLOBS": "memory://",
        "TIRO_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
    }
    return settings.read({**needed, **(environ or {})}, toml)


def _plans(read: Settings) -> dict[str, Plan]:
    return {plan.name: plan for plan in read.plans}


def test_without_a_word_there_are_the_usual_plans(tmp_path: Path) -> None:
    assert _read(tmp_path).plans == DEFAULT_PLANS


@pytest.mark.promise("T29", "T30", "T31", "T44")
def test_free_is_for_trying_and_the_others_pay_as_they_go() -> None:
    """Keys, requests a minute, price and starting credit."""
    assert {
        name: (plan.max_keys, plan.requests_minute, plan.micros_per_hour, plan.starting_credit_micros)
        for name, plan in USUAL.items()
    } == {
        "free": (5, 10, 150_000, 5_000_000),
        "payg": (5, 300, 150_000, 0),
        "pro": (20, 300, 150_000, 0),
        "business": (20, 300, 150_000, 0),
    }
    assert {name: plan.max_awaiting for name, plan in USUAL.items()} == dict.fromkeys(USUAL, 100) | {"free": 10}
    payg = USUAL["payg"]
    assert (payg.minutes_month, payg.overage_micros_per_minute, payg.max_jobs) == (0, 40_000, 20)


def test_a_field_that_is_named_changes_and_the_others_stay(tmp_path: Path) -> None:
    plans = _plans(_read(tmp_path, "[plans.free]\nminutes_month = 90\nmax_jobs = 3\n"))
    assert plans == {**USUAL, "free": msgspec.structs.replace(USUAL["free"], minutes_month=90, max_jobs=3)}


def test_a_new_plan_stands_beside_the_usual_ones(tmp_path: Path) -> None:
    plans = _plans(_read(tmp_path, GOLD))
    assert plans.keys() == {"free", "payg", "pro", "business", "gold"}
    gold = plans["gold"]
    assert (gold.minutes_month, gold.weight, gold.max_keys) == (None, 2.5, 20)
    assert (gold.micros_per_hour, gold.requests_minute, gold.starting_credit_micros) == (150_000, 300, 0)


def test_none_takes_minutes_and_overage_away_from_a_usual_plan(tmp_path: Path) -> None:
    plans = _plans(_read(tmp_path, '[plans.pro]\nminutes_month = "none"\noverage_micros_per_minute = "none"\n'))
    assert (plans["pro"].minutes_month, plans["pro"].overage_micros_per_minute) == (None, None)


def test_a_process_without_a_data_folder_names_a_file(tmp_path: Path) -> None:
    """It wins over tiro.toml, as the environment does."""
    (tmp_path / "plans.toml").write_text(GOLD)
    environ = {"TIRO_PLANS": str(tmp_path / "plans.toml")}
    plans = _plans(_read(tmp_path, "[plans.free]\nminutes_month = 90\n", environ))
    assert "gold" in plans
    assert plans["free"] == USUAL["free"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[plans.free]\nmax_byte = 1\n", "plans.free.max_byte"),
        ("[plans.gold]\nmax_jobs = 1\n", "max_bytes"),
        ("[plans.free]\nmax_jobs = 0\n", "max_jobs"),
        ('[plans.free]\nmax_jobs = "many"\n', "max_jobs"),
        ('[plans.free]\nmax_jobs = "none"\n', "max_jobs"),
        ("[plans.pro]\noverage_micros_per_minute = -1\n", "overage_micros_per_minute"),
        ("[plans.pro]\nmicros_per_hour = -1\n", "micros_per_hour"),
        ("[plans.pro]\nrequests_minute = 0\n", "requests_minute"),
        ("[plans.pro]\nweight = 0\n", "weight"),
        ('[plans.free]\nname = "other"\n', "plans.free.name"),
        ('[plans."Gold plan"]\nmax_jobs = 1\n', "Gold plan"),
        ("[plans]\nfree = 1\n", "plans.free"),
        ("plans = 1\n", "plans"),
    ],
)
def test_a_slip_names_the_plan_and_the_field(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        _read(tmp_path, text)
    assert refused.value.code == "invalid_setting"
    assert "plans" in refused.value.message
    assert told in refused.value.message


@pytest.mark.parametrize("text", [None, "not toml", "[plan.free]\nmax_jobs = 1\n"])
def test_a_file_that_is_not_one_of_plans_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "plans.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Invalid, match=r"plans\.toml"):
        _read(tmp_path, environ={"TIRO_PLANS": str(file)})
