"""What may an account use? Plans: the four that everybody has, and what an operator makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from tiro.model.account import Account
from tiro.model.errors import Invalid, Transient
from tiro.model.media import MediaLimits

MIB = 1 << 20
GIB = 1 << 30
NOTHING = "none"
"""What a TOML file, which has no null, says instead."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0.001, le=1000)]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class PlanMissing(Transient):
    """An account is on a plan that this process' settings lack; once they name it again, all goes on."""

    code = "plan_missing"


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an account may use. `minutes_month` None: unmetered. `overage_micros_per_minute`: micro-dollars, None: no overage.

    `weight`: its share of the speech workers under load. `micros_per_hour`: what an hour costs where the wallet pays;
    `requests_minute`: recordings that may be asked for there within a minute; `starting_credit_micros`: what a new account has.
    `max_awaiting`: jobs whose bytes are still to be brought.
    """

    name: str
    max_bytes: Count
    max_duration_s: Count
    max_jobs: Count
    minutes_month: Amount | None
    overage_micros_per_minute: Amount | None
    weight: Share
    max_keys: Count = 20
    micros_per_hour: Amount = 150_000
    requests_minute: Count = 300
    starting_credit_micros: Amount = 0
    max_awaiting: Count = 100

    @property
    def limits(self) -> MediaLimits:
        """Of each recording, where a job has none of its own."""
        return MediaLimits(max_duration_s=float(self.max_duration_s), max_bytes=self.max_bytes)


DEFAULT_PLANS: tuple[Plan, ...] = (
    Plan(
        name="free",
        max_bytes=100 * MIB,
        max_duration_s=30 * 60,
        max_jobs=2,
        minutes_month=60,
        overage_micros_per_minute=None,
        weight=1.0,
        max_keys=5,
        requests_minute=10,
        starting_credit_micros=5_000_000,
        max_awaiting=10,
    ),
    Plan(
        name="payg",
        max_bytes=2 * GIB,
        max_duration_s=10 * 3600,
        max_jobs=20,
        minutes_month=0,
        overage_micros_per_minute=40_000,
        weight=3.0,
        max_keys=5,
    ),
    Plan(
        name="pro",
        max_bytes=2 * GIB,
        max_duration_s=10 * 3600,
        max_jobs=20,
        minutes_month=1_200,
        overage_micros_per_minute=40_000,
        weight=3.0,
    ),
    Plan(
        name="business",
        max_bytes=5 * GIB,
        max_duration_s=10 * 3600,
        max_jobs=50,
        minutes_month=6_000,
        overage_micros_per_minute=20_000,
        weight=5.0,
    ),
)


class Plans:
    """The plans of this server, by name."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._by_name = {plan.name: plan for plan in plans}

    def all(self) -> tuple[Plan, ...]:
        """In the order of the settings."""
        return tuple(self._by_name.values())

    def named(self, name: str) -> Plan:
        """Raises Invalid `unknown_plan`."""
        if name not in self._by_name:
            raise Invalid(
                "unknown_plan", f"There is no plan {name!r}; there are {', '.join(self._by_name)}.", param="plan"
            )
        return self._by_name[name]

    def of(self, account: Account) -> Plan:
        """The account's, as it is now: asked for at each request, never remembered. Raises PlanMissing."""
        plan = self._by_name.get(account.plan)
        if plan is None:
            raise PlanMissing(message="The plan of this account is not in the settings of this server.")
        return plan

    def max_jobs(self) -> dict[str, int]:
        """Plan -> how many jobs of an account run at once."""
        return {name: plan.max_jobs for name, plan in self._by_name.items()}

    def missing(self, used: Iterable[str]) -> list[str]:
        """Those of these names that are no plan here, in order."""
        return sorted(set(used) - self._by_name.keys())


def plans_from(table: object) -> tuple[Plan, ...]:
    """The default plans with the fields that the table (plan -> field -> value) changes, and those that it adds.

    Raises Invalid `invalid_setting`, naming plan and field.
    """
    if not isinstance(table, Mapping):
        raise _wrong("plans", "must be tables such as [plans.free]")
    plans = {plan.name: plan for plan in DEFAULT_PLANS}
    for name, fields in table.items():
        plans[name] = _plan(name, fields, plans.get(name))
    return tuple(plans.values())


def _plan(name: str, fields: object, standing: Plan | None) -> Plan:
    where = f"plans.{name}"
    if not _NAME.fullmatch(name):
        raise _wrong(where, "is no name for a plan: small letters, digits, - and _")
    if not isinstance(fields, Mapping):
        raise _wrong(where, f"must be a table [{where}]")
    known = [field for field in Plan.__struct_fields__ if field != "name"]
    for field in fields:
        if field not in known:
            raise _wrong(f"{where}.{field}", f"is no field of a plan. Known: {', '.join(known)}")
    before: dict[str, Any] = msgspec.structs.asdict(standing) if standing else {}
    told = {field: None if value == NOTHING else value for field, value in fields.items()}
    try:
        return msgspec.convert({**before, **told, "name": name}, Plan)
    except msgspec.ValidationError as wrong:
        raise _wrong(where, f"is wrong: {wrong}") from None


def _wrong(what: str, why: str) -> Invalid:
    return Invalid("invalid_setting", f"{what} {why}.", param=what)
