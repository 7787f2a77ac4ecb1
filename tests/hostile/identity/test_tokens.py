"""Tokens that somebody made: each differs in one thing from a token that opens, and opens nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.dialects.jobs.tokens import refused_refresh, status, tokens
from tests.servers.api import TOKEN_KEY, Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock

Note = Callable[[str], None]
Claims = dict[str, Any]
NOW = int(SystemClock().now().timestamp())
YEAR_S = 365 * 86_400


def _signed(claims: Claims, key: bytes = TOKEN_KEY, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=headers or None)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(claims: Claims, algorithm: str, signature: str = "") -> str:
    return f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims)}.{signature}"


def _by_rsa(claims: Claims) -> str:
    return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256")


def _without(claims: Claims, name: str) -> str:
    return _signed({key: value for key, value in claims.items() if key != name})


def _changed(claims: Claims, **changes: Any) -> str:
    """With the server's own key: what must not open although it was signed by us."""
    return _signed({**claims, **changes})


def _grafted(claims: Claims) -> str:
    """A good signature under other words."""
    head, _, signature = _signed(claims).split(".")
    return f"{head}.{_part({**claims, 'exp': NOW + YEAR_S})}.{signature}"


FORGED: dict[str, Callable[[Claims], str]] = {
    "alg none": lambda claims: _unsigned(claims, "none"),
    "alg None": lambda claims: _unsigned(claims, "None"),
    "alg nOnE, signed": lambda claims: _unsigned(claims, "nOnE", _signed(claims).split(".")[2]),
    "alg empty": lambda claims: _unsigned(claims, ""),
    "alg of another length": lambda claims: _signed(claims, algorithm="HS512"),
    "RS256 with a key of one's own": _by_rsa,
    "an empty key": lambda claims: _signed(claims, b"x" * 64).rpartition(".")[0] + ".",
    "another key": lambda claims: _signed(claims, b"x" * 64),
    "the digest of the key": lambda claims: _signed(claims, sha256(TOKEN_KEY).digest()),
    "a key that is called by a path": lambda claims: _signed(claims, b"\0" * 64, kid="../../../../dev/null"),
    "a key that is called by SQL": lambda claims: _signed(claims, b"x" * 64, kid="x' UNION SELECT 'x' --"),
    "a key that is sent along": lambda claims: _signed(claims, b"x" * 64, jwk={"kty": "oct", "k": "eHh4"}),
    "a key that is to be fetched": lambda claims: _signed(claims, b"x" * 64, jku="https://evil.example/keys"),
    "unknown crit": lambda claims: _signed(claims, crit=["x"], x=1),
    "crit that is no list": lambda claims: _signed(claims, crit="exp"),
    "other words under a good signature": _grafted,
    "half a signature": lambda claims: _signed(claims)[:-20],
    "a fourth part": lambda claims: _signed(claims) + ".x",
    "encrypted": lambda claims: ".".join([_part({"alg": "dir", "enc": "A128GCM"}), "", "x", "x", "x"]),
    "words that are no object": lambda claims: jwt.PyJWS().encode(b"[]", TOKEN_KEY, "HS256"),
    "words that are no JSON": lambda claims: jwt.PyJWS().encode(b"\xff", TOKEN_KEY, "HS256"),
    "words nested 3,000 deep": lambda claims: jwt.PyJWS().encode(b"[" * 3_000, TOKEN_KEY, "HS256"),
    "5,000 characters": lambda claims: _changed(claims, x="x" * 5_000),
    **{f"{name} missing": lambda claims, name=name: _without(claims, name) for name in
       ("iss", "aud", "account", "key", "typ", "iat", "nbf", "exp")},
    "exp 1e30": lambda claims: _changed(claims, exp=1e30),
    "exp with a fraction": lambda claims: _changed(claims, exp=NOW + 1800.5),
    "exp NaN": lambda claims: _changed(claims, exp=float("nan")),
    "exp as a text": lambda claims: _changed(claims, exp=str(NOW + 1800)),
    "exp true": lambda claims: _changed(claims, exp=True),
    "exp null": lambda claims: _changed(claims, exp=None),
    "exp in a year": lambda claims: _changed(claims, exp=NOW + YEAR_S),
    "exp of 400 digits": lambda claims: _changed(claims, exp=10**400),
    "nbf in a year": lambda claims: _changed(claims, nbf=NOW + YEAR_S),
    "iat in a year": lambda claims: _changed(claims, iat=NOW + YEAR_S),
    "another audience": lambda claims: _changed(claims, aud="other"),
    "audiences, one of them ours": lambda claims: _changed(claims, aud=["other", claims["aud"]]),
    "another issuer": lambda claims: _changed(claims, iss="other"),
    "an unknown kind": lambda claims: _changed(claims, typ="admin"),
    "a claim nobody knows": lambda claims: _changed(claims, admin=True),
    "an account that is gone": lambda claims: _changed(claims, account="acct_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    "a key that is gone": lambda claims: _changed(claims, key="key_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    "a key that is SQL": lambda claims: _changed(claims, key="' OR '1'='1"),
}  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("typ", ["access", "refresh"])
@pytest.mark.parametrize(
    "forge",
    [pytest.param(forge, marks=pytest.mark.hostile_input(52, what, "401"), id=what) for what, forge in FORGED.items()],
)
@pytest.mark.promise("J13")
async def test_a_forged_token_opens_nothing(
    lasting_api: Api, seen: Note, typ: str, forge: Callable[[Claims], str]
) -> None:
    """401 with the code of its place; the same claims, signed as they are, open."""
    (key, *_) = await lasting_api.house.accounts.keys(lasting_api.account.account_id)
    claims = {
        "iss": "tiro", "aud": "tiro-api", "account": lasting_api.account.account_id, "key": key.key_id, "typ": typ,
        "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
    }  # fmt: skip
    good, bad = [await _used(lasting_api, typ, token) for token in (_signed(claims), forge(claims))]
    seen(f"{bad[0]} {bad[1]}")
    assert good == (200, "")
    assert bad == (401, "invalid_token" if typ == "access" else "invalid_refresh_token")


async def _used(api: Api, typ: str, token: str) -> tuple[int, str]:
    if typ == "access":
        return await status(api, token)
    answer = await api.http.post("/auth/refresh", json={"refresh_token": token})
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.hostile_input(52, "a refresh token as access token, and the other way round", "401")
@pytest.mark.promise("J13")
async def test_each_token_opens_its_own_door_only(api: Api, seen: Note) -> None:
    told = await tokens(api)
    crossed = await status(api, told["refresh_token"])
    await refused_refresh(api, told["access_token"])
    seen(f"{crossed[0]} {crossed[1]}")
    assert crossed == (401, "invalid_token")


@pytest.mark.hostile_input(52, "a key of another account in a token", "401")
async def test_a_key_speaks_for_its_own_account_only(api: Api, seen: Note) -> None:
    other, text = await api.account_with_key()
    answer = await api.http.post("/auth/token", json={"api_key": text})
    claims = jwt.decode(answer.json()["access_token"], TOKEN_KEY, ["HS256"], audience="tiro-api")
    assert claims["account"] == other.account_id
    swapped = await status(api, _changed(claims, account=api.account.account_id))
    seen(f"{swapped[0]} {swapped[1]}")
    assert swapped == (401, "invalid_token")


@pytest.mark.hostile_input(52, "a refresh token that was used before, where they rotate", "401, and the family ends")
async def test_a_stolen_refresh_token_ends_its_family(make_api: ApiMaker, seen: Note) -> None:
    """Thief and owner both: nobody can tell which is which."""
    clock = SetClock(SystemClock().now())
    api = await make_api(clock=clock)
    await api.house.accounts.change(api.account.account_id, rotate_refresh=True)
    stolen = (await tokens(api))["refresh_token"]
    current = (await api.http.post("/auth/refresh", json={"refresh_token": stolen})).json()
    clock.advance(61)
    for token in (stolen, current["refresh_token"]):
        await refused_refresh(api, token)
    ended = await status(api, current["access_token"])
    seen(f"{ended[0]} {ended[1]}")
    assert ended == (401, "invalid_token")
