"""Does money that comes in count once, whoever asks, however often, at however many processes?"""

from __future__ import annotations

import asyncio
import base64

import pytest

from tests.contract.records_nouns import account, given, two_processes, within
from tests.servers.databases import SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.adapters.system import SystemIds
from tiro.adapters.vault import SealedVault
from tiro.model.account import Account
from tiro.model.errors import Invalid, NotFound
from tiro.model.plans import DEFAULT_PLANS, Plans
from tiro.model.wallet import MICROS, Balance
from tiro.services.accounts import Accounts
from tiro.services.wallets import TopUpDisabled, Wallets

pytestmark = pytest.mark.promise("T9")


def _wallets(records: SqlRecords, clock: SteppedClock) -> Wallets:
    return Wallets(records, clock, SystemIds())


def _accounts(records: SqlRecords, clock: SteppedClock) -> Accounts:
    vault = SealedVault(base64.b64encode(b"k" * 32).decode())
    return Accounts(records, vault, clock, SystemIds(), Plans(DEFAULT_PLANS), ())


async def _read(records: SqlRecords, account_id: str = "acct_1") -> Account:
    found = await within(records, lambda tx: tx.accounts.get(account_id))
    assert found is not None
    return found


@pytest.fixture
async def wallets(records: SqlRecords, clock: SteppedClock) -> Wallets:
    """Of an account that may help itself."""
    await given(records, account(self_topup=True))
    return _wallets(records, clock)


async def test_the_same_wish_within_ten_seconds_counts_once(wallets: Wallets, clock: SteppedClock) -> None:
    """Whatever the clock on the wall says: from the moment of the one that counted."""
    for waits_s, added, dollars in ((0, True, 5), (9, False, 5), (0.9, False, 5), (0.1, True, 5), (9.9, False, 5)):
        clock.step(waits_s)
        told = await wallets.top_up("acct_1", "key_1", dollars)
        assert told.added is added
    assert told.balance == Balance(10 * MICROS)


async def test_another_key_and_another_amount_are_another_wish(wallets: Wallets) -> None:
    for key_id, dollars in (("key_1", 5), ("key_2", 5), ("key_1", 6), ("key_1", 100)):
        assert (await wallets.top_up("acct_1", key_id, dollars)).added
    assert await wallets.balance("acct_1") == Balance(116 * MICROS)
    assert [entry.note for entry in await wallets.entries("acct_1", 2)] == ["by key key_1"] * 2


async def test_twenty_at_once_count_once(wallets: Wallets) -> None:
    told = await asyncio.gather(*(wallets.top_up("acct_1", "key_1", 20) for _ in range(20)))
    assert [one.added for one in told].count(True) == 1
    assert {one.balance for one in told} == {Balance(20 * MICROS)}


async def test_twenty_at_once_at_two_processes_count_once(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account(self_topup=True))
        ports = [_wallets(one, clock), _wallets(other, clock)]
        told = await asyncio.gather(*(ports[n % 2].top_up("acct_1", "key_1", 20, 100) for n in range(20)))
        assert [each.added for each in told].count(True) == 1
        assert await ports[0].balance("acct_1") == Balance(20 * MICROS)


async def test_different_wishes_at_once_with_one_bound_pass_it_once(wallets: Wallets) -> None:
    """The bound is asked where the money is added: no two see the same low balance."""
    told = await asyncio.gather(*(wallets.top_up("acct_1", "key_1", dollars, 5) for dollars in range(5, 25)))
    assert [one.added for one in told].count(True) == 1


async def test_a_wish_that_its_bound_refused_does_not_stand_in_the_way_of_the_next(wallets: Wallets) -> None:
    await wallets.top_up("acct_1", "key_1", 10)
    assert not (await wallets.top_up("acct_1", "key_1", 5, 10)).added
    assert (await wallets.top_up("acct_1", "key_1", 5, 10.01)).added
    assert await wallets.balance("acct_1") == Balance(15 * MICROS)


@pytest.mark.parametrize("dollars", [4, 101, 0, -5, 5.5, float("nan"), float("inf"), 1e300])
async def test_amounts_are_whole_dollars_from_five_to_a_hundred(wallets: Wallets, dollars: float) -> None:
    with pytest.raises(Invalid) as refused:
        await wallets.top_up("acct_1", "key_1", dollars)
    assert refused.value.extras["param"] == "amount"
    assert await wallets.balance("acct_1") == Balance()


@pytest.mark.parametrize(("bound", "added"), [(-1.0, False), (0.0, False), (0.01, True), (1e300, True)])
async def test_any_number_is_a_bound(wallets: Wallets, bound: float, added: bool) -> None:
    assert (await wallets.top_up("acct_1", "key_1", 5, bound)).added is added
    with pytest.raises(Invalid):
        await wallets.top_up("acct_1", "key_1", 6, float("nan"))


async def test_who_may_not_is_told_so_and_unknown_accounts_are_unknown(
    records: SqlRecords, clock: SteppedClock
) -> None:
    await given(records, account())
    wallets = _wallets(records, clock)
    with pytest.raises(TopUpDisabled) as refused:
        await wallets.top_up("acct_1", "key_1", 5)
    assert refused.value.code == "top_up_disabled"
    for call in (wallets.top_up("acct_2", "key_1", 5), wallets.balance("acct_2"), wallets.credit("acct_2", 1, "")):
        with pytest.raises(NotFound):
            await call
    assert await wallets.balance("acct_1") == Balance()


async def test_an_operator_credits_as_often_as_he_says_so(wallets: Wallets) -> None:
    for _ in range(2):
        balance = await wallets.credit("acct_1", 1_500_000, "sorry")
    assert balance == Balance(3_000_000)
    for micros in (0, -1, 10**13):
        with pytest.raises(Invalid):
            await wallets.credit("acct_1", micros, "")


@pytest.mark.promise("T44")
async def test_a_new_account_begins_with_its_plans_credit_once(records: SqlRecords, clock: SteppedClock) -> None:
    """Free: five dollars; another plan later brings no more, nor does a second endowment."""
    wallets, accounts = _wallets(records, clock), _accounts(records, clock)
    made = {plan: await accounts.create("someone", plan) for plan in ("free", "payg", "pro")}
    for plan, micros in (("free", 5 * MICROS), ("payg", 0), ("pro", 0)):
        assert await wallets.balance(made[plan].account_id) == Balance(micros)
    free = made["free"].account_id
    await accounts.change(free, plan="payg")
    assert not await wallets.endow(free, 10_000 * MICROS)
    (entry,) = await wallets.entries(free)
    assert (entry.job_id, entry.kind, entry.note) == (f"start/{free}", "credit", "starting credit")
    assert not (await _read(records, free)).self_topup


async def test_the_first_account_is_endowed_once_and_keeps_what_its_operator_set(
    records: SqlRecords, clock: SteppedClock
) -> None:
    """At every start of its server anew."""
    wallets, accounts = _wallets(records, clock), _accounts(records, clock)
    first = (await accounts.create("first", "business")).account_id
    assert await wallets.endow(first, 10_000 * MICROS)
    assert (await _read(records, first)).self_topup
    await accounts.change(first, self_topup=False)
    assert not await wallets.endow(first, 10_000 * MICROS)
    assert not (await _read(records, first)).self_topup
    assert await wallets.balance(first) == Balance(10_000 * MICROS)


@pytest.mark.promise("T32")
@pytest.mark.parametrize(
    ("fields", "verified"),
    [({}, True), ({"email": "jo@example.com"}, False), ({"email": "jo@example.com", "verified": True}, True)],
)
async def test_an_account_is_verified_unless_it_has_an_address_that_is_not(
    records: SqlRecords, clock: SteppedClock, fields: dict[str, object], verified: bool
) -> None:
    accounts = _accounts(records, clock)
    made = await accounts.create("someone", **fields)  # type: ignore[arg-type]  # of the table above
    assert made.verified is verified
    assert (await accounts.change(made.account_id, verified=True)).verified
