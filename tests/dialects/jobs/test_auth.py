"""/auth/token, /auth/refresh, and who may come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from tests.servers.api import TOKEN_KEY, Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock


async def _tokens(api: Api) -> dict[str, Any]:
    answer = await api.http.post("/auth/token", json={"api_key": api.key})
    assert answer.status_code == 200
    return dict(answer.json())


async def _status(api: Api, credential: str) -> tuple[int, str]:
    answer = await api.http.get("/jobs", headers=api.bearer(credential))
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.promise("J12")
async def test_a_key_becomes_two_tokens(api: Api) -> None:
    told = await _tokens(api)
    assert set(told) == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in"}
    assert (told["token_type"], told["expires_in"], told["refresh_expires_in"]) == ("Bearer", 3600, 2592000)
    assert (await _status(api, told["access_token"]))[0] == 200


@pytest.mark.promise("J15")
async def test_the_key_itself_is_a_credential(api: Api) -> None:
    """Either works."""
    assert (await _status(api, api.key))[0] == 200


@pytest.mark.promise("J1", "J12")
async def test_the_refresh_token_lives_its_thirty_days(make_api: ApiMaker) -> None:
    """Used often it stays the same; access ends after 61 minutes, refresh after 31 days."""
    clock = SetClock(SystemClock().now())
    api = await make_api(change=lambda house: msgspec.structs.replace(house, clock=clock))
    told = await _tokens(api)
    clock.advance(3659)
    assert (await _status(api, told["access_token"]))[0] == 200
    clock.advance(1)
    assert await _status(api, told["access_token"]) == (401, "token_expired")
    for _ in range(3):
        again = (await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]})).json()
        assert again["refresh_token"] == told["refresh_token"]
        assert (await _status(api, again["access_token"]))[0] == 200
        clock.advance(9 * 86400)
    clock.advance(4 * 86400)
    late = await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]})
    assert (late.status_code, late.json()["error"]) == (401, "invalid_refresh_token")


@pytest.mark.promise("J15")
async def test_revoking_a_key_ends_its_tokens(api: Api) -> None:
    """At once, access and refresh alike."""
    told = await _tokens(api)
    key = (await api.house.accounts.keys(api.account.account_id))[0]
    await api.house.accounts.revoke_key(key.key_id)
    assert await _status(api, told["access_token"]) == (401, "invalid_token")
    assert await _status(api, api.key) == (401, "invalid_api_key")
    late = await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]})
    assert (late.status_code, late.json()["error"]) == (401, "invalid_refresh_token")


@pytest.mark.promise("J15")
async def test_every_plan_has_the_same_surface(make_api: ApiMaker) -> None:
    """Free diarizes, takes addresses and webhooks."""
    api = await make_api(plan="free")
    fields = {"source_url": "https://93.184.215.14/a", "diarize": True, "webhook_url": "https://93.184.215.14/h"}
    assert (await api.http.post("/jobs", json=fields)).status_code == 202


def _forged(**changes: object) -> str:
    now = int(SystemClock().now().timestamp())
    claims: dict[str, object] = {
        "iss": "tiro",
        "aud": "tiro-api",
        "account": "acct_x",
        "key": "key_x",
        "typ": "access",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, TOKEN_KEY, "HS256")


FORGERIES: dict[str, Callable[[], str]] = {
    "no token": lambda: "x",
    "three parts": lambda: "a.b.c",
    "unknown key": lambda: "tsk_live_unknown",
    "long": lambda: "x" * 5000,
    "unknown account": _forged,
    "without end": lambda: _forged(exp=None),
    "far end": lambda: _forged(exp=1e30),
    "wordy end": lambda: _forged(exp="soon"),
    "other audience": lambda: _forged(aud="other"),
    "other issuer": lambda: _forged(iss="other"),
    "from the future": lambda: _forged(nbf=4102444800),
    "refresh": lambda: _forged(typ="refresh"),
    "other key": lambda: jwt.encode({"iss": "tiro"}, "other" * 20, "HS256"),
    "no algorithm": lambda: jwt.encode({"iss": "tiro"}, "", "none"),
    "critical header": lambda: jwt.encode({"iss": "tiro"}, TOKEN_KEY, "HS256", headers={"crit": ["x"], "x": 1}),
    "other algorithm": lambda: jwt.encode({"iss": "tiro"}, TOKEN_KEY, "HS512", headers={"kid": "../../x"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.promise("J13")
async def test_forged_credentials_are_refused(api: Api, forgery: str) -> None:
    """401 with a code and WWW-Authenticate."""
    answer = await api.http.get("/jobs", headers=api.bearer(FORGERIES[forgery]()))
    assert (answer.status_code, answer.json()["error"]) in {(401, "invalid_token"), (401, "invalid_api_key")}
    assert f'error="{answer.json()["error"]}"' in answer.headers["www-authenticate"]


@pytest.mark.promise("J13")
async def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    told = await _tokens(api)
    assert await _status(api, told["refresh_token"]) == (401, "invalid_token")
    answer = await api.http.post("/auth/refresh", json={"refresh_token": told["access_token"]})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_refresh_token")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "missing_token"),
        ([("Authorization", "Token abc")], "invalid_token"),
        ([("Authorization", "Bearer")], "invalid_token"),
        ([("Authorization", "Bearer {key}"), ("Authorization", "Bearer {key}")], "invalid_token"),
    ],
)
@pytest.mark.promise("J13")
async def test_missing_is_not_invalid(api: Api, headers: list[tuple[str, str]], code: str) -> None:
    """Two Authorization headers are none."""
    del api.http.headers["Authorization"]
    answer = await api.http.get("/jobs", headers=[(name, value.format(key=api.key)) for name, value in headers])
    assert (answer.status_code, answer.json()["error"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_the_scheme_may_be_written_small(api: Api) -> None:
    """`bearer` is Bearer."""
    answer = await api.http.get("/jobs", headers={"Authorization": f"bearer  {api.key}"})
    assert answer.status_code == 200


@pytest.mark.promise("J14")
async def test_keys_are_exchanged_ten_times_a_minute(api: Api) -> None:
    """The eleventh is a 429 with Retry-After; refreshing goes on."""
    told = await _tokens(api)
    for _ in range(9):
        await _tokens(api)
    answer = await api.http.post("/auth/token", json={"api_key": api.key})
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]})).status_code == 200


@pytest.mark.promise("J14")
async def test_a_peer_guesses_thirty_keys_a_minute(api: Api) -> None:
    """Whatever it says in X-Forwarded-For."""
    statuses = [
        (
            await api.http.post(
                "/auth/token", json={"api_key": f"tsk_live_{n}"}, headers={"X-Forwarded-For": f"10.0.0.{n}"}
            )
        ).status_code
        for n in range(31)
    ]
    assert statuses == [401] * 30 + [429]


@pytest.mark.parametrize(("path", "body"), [("token", {}), ("token", {"api_key": 1}), ("refresh", {"x": 1})])
async def test_a_missing_field_is_named(api: Api, path: str, body: dict[str, object]) -> None:
    """400 with `param`."""
    answer = await api.http.post(f"/auth/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["param"] in {"api_key", "refresh_token"}
