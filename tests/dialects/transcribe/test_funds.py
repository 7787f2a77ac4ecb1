"""Money that an account credits itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.dialects.transcribe.asking import coded
from tests.servers.api import Api

PATH = "/v1/add-funds"


async def _may(api: Api) -> Api:
    await api.house.accounts.change(api.account.account_id, self_topup=True)
    return api


async def _balance(api: Api) -> float:
    return (await api.house.wallets.balance(api.account.account_id)).free_micros / 1_000_000


@pytest.mark.promise("T9")
async def test_only_an_account_that_may_credits_itself(api: Api) -> None:
    assert coded(await api.http.post(PATH, json={"amount": 10})) == (403, "top_up_disabled")
    assert await _balance(api) == 0


@pytest.mark.promise("T9")
async def test_the_answer_is_the_balance(api: Api) -> None:
    await _may(api)
    answer = await api.http.post(PATH, json={"amount": 10})
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "remaining_balance": 10.0})
    assert await _balance(api) == 10


@pytest.mark.promise("T9")
async def test_a_client_that_tries_again_is_credited_once(api: Api) -> None:
    """Also when all tries come at once; another amount is another wish."""
    await _may(api)
    answers = await asyncio.gather(*(api.http.post(PATH, json={"amount": 5}) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert await _balance(api) == 5
    assert (await api.http.post(PATH, json={"amount": 6})).json()["remaining_balance"] == 11.0


@pytest.mark.promise("T9")
async def test_a_bound_keeps_it_from_adding_what_is_not_needed(api: Api) -> None:
    await _may(api)
    for amount, bound, expected in ((5, 1, 5.0), (6, 5, 5.0), (7, 5.01, 12.0), (8, None, 20.0)):
        answer = await api.http.post(PATH, json={"amount": amount, "if_balance_below": bound})
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "remaining_balance": expected})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "amount"),
        *[({"amount": amount}, "amount") for amount in (4, 101, 5.5, -5, "10", True, None, [5])],
        ({"amount": 5, "if_balance_below": "x"}, "if_balance_below"),
    ],
)
@pytest.mark.promise("T9")
async def test_an_amount_is_5_to_100_whole_dollars(api: Api, body: Any, param: str) -> None:
    await _may(api)
    answer = await api.http.post(PATH, json=body)
    assert coded(answer) == (400, "invalid_request_options")
    assert (answer.json()["param"], await _balance(api)) == (param, 0)


@pytest.mark.promise("T9")
async def test_what_is_no_json_is_none(api: Api) -> None:
    await _may(api)
    headers = {"Content-Type": "application/json"}
    assert coded(await api.http.post(PATH, content=b"{", headers=headers)) == (400, "invalid_json")
