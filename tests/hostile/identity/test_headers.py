"""Credentials in every place and shape but the right one, and what is written down of the right one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.dialects.jobs.tokens import refused_refresh, tokens
from tests.servers.api import ADMIN, Api
from tiro.services.accounts import KEY_PREFIX

Note = Callable[[str], None]
Headers = list[tuple[bytes, bytes]]


def _basic(key: bytes) -> bytes:
    return base64.b64encode(b"tiro:" + key)


SENT: dict[str, tuple[str, Callable[[bytes], Headers]]] = {
    "no header": ("missing_token", lambda key: []),
    "an empty header": ("invalid_token", lambda key: [(b"Authorization", b"")]),
    "the scheme alone": ("invalid_token", lambda key: [(b"Authorization", b"Bearer")]),
    "the key alone": ("invalid_token", lambda key: [(b"Authorization", key)]),
    "Token": ("invalid_token", lambda key: [(b"Authorization", b"Token " + key)]),
    "Basic": ("invalid_token", lambda key: [(b"Authorization", b"Basic " + _basic(key))]),
    "Digest": ("invalid_token", lambda key: [(b"Authorization", b"Digest " + key)]),
    "a tab for the space": ("invalid_token", lambda key: [(b"Authorization", b"Bearer\t" + key)]),
    "a colon": ("invalid_token", lambda key: [(b"Authorization", b"Bearer: " + key)]),
    "two headers": ("invalid_token", lambda key: [(b"Authorization", b"Bearer " + key)] * 2),
    "another header first": (
        "invalid_token",
        lambda key: [(b"Authorization", b"Basic x"), (b"Authorization", b"Bearer " + key)],
    ),
    "two keys, a comma": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer %b, Bearer %b" % (key, key))]),
    "two keys": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer %b %b" % (key, key))]),
    "quotes": ("invalid_token", lambda key: [(b"Authorization", b'Bearer "%b"' % key)]),
    "a space without a break": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer %b\xa0" % key)]),
    "an encoded line feed": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer %b%%0a" % key)]),
    "a letter less": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer " + key[:-1])]),
    "a letter more": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer " + key + b"A")]),
    "other case": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer tsk_live_" + key[9:].swapcase())]),
    "another environment": ("invalid_token", lambda key: [(b"Authorization", b"Bearer tsk_test_" + key[9:])]),
    "SQL": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer tsk_live_' OR '1'='1")]),
    "a wildcard": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer tsk_live_%")]),
    "no ASCII": ("invalid_api_key", lambda key: [(b"Authorization", b"Bearer tsk_live_\xff\xfe")]),
    "its digest": (
        "invalid_api_key",
        lambda key: [(b"Authorization", b"Bearer tsk_live_" + sha256(key).hexdigest().encode())],
    ),
    "5,000 letters": ("invalid_token", lambda key: [(b"Authorization", b"Bearer tsk_live_" + b"A" * 5_000)]),
    "the admin token": ("invalid_token", lambda key: [(b"Authorization", b"Bearer " + ADMIN.encode())]),
    "X-API-Key": ("missing_token", lambda key: [(b"X-API-Key", key)]),
    "Proxy-Authorization": ("missing_token", lambda key: [(b"Proxy-Authorization", b"Bearer " + key)]),
    "a cookie": ("missing_token", lambda key: [(b"Cookie", b"access_token=%b; session=%b" % (key, key))]),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.hostile_input(51, what, f"401 {case[0]}"), id=what)
        for what, case in SENT.items()
    ],
)
@pytest.mark.promise("J13")
@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_no_credential(lasting_api: Api, seen: Note, case: tuple[str, Callable[[bytes], Headers]]) -> None:
    """401 with its code, in the body and in WWW-Authenticate, and without an echo."""
    code, make = case
    headers = make(lasting_api.key.encode())
    async with httpx2.AsyncClient(base_url=lasting_api.url, timeout=30, trust_env=False, verify=False) as http:
        answer = await http.get("/jobs", headers=headers)
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert lasting_api.key[9:] not in answer.text + str(answer.headers)


@pytest.mark.parametrize("name", ["access_token", "api_key", "key", "token", "authorization"])
@pytest.mark.hostile_input(51, "the key in the query", "401 missing_token")
async def test_an_address_is_no_place_for_a_key(api: Api, seen: Note, name: str) -> None:
    """Addresses are written down by every proxy."""
    del api.http.headers["Authorization"]
    answer = await api.http.get("/jobs", params={name: api.key})
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"]) == (401, "missing_token")


@pytest.mark.parametrize("bytes_", [60_000, 1_000_000])
@pytest.mark.hostile_input(51, "a key of 60 kB, and of 1 MB", "401, and 400 for the megabyte")
async def test_a_huge_key_is_not_looked_at(api: Api, seen: Note, bytes_: int) -> None:
    answer = await api.raw(
        b"GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tsk_live_" + b"A" * bytes_ + b"\r\n\r\n"
    )
    status = answer.split(b" ", 2)[1]
    seen(status.decode())
    assert status == (b"401" if bytes_ < 64 << 10 else b"400")


@pytest.mark.parametrize(
    "text", ["{key}\n", " {key}", "{key} ", "Bearer {key}", "{key}\\", "KEY{key}", "{prefix}" + "A" * 200_000]
)
@pytest.mark.hostile_input(51, "a key with something around it, to /auth/token", "401 invalid_api_key")
async def test_a_key_is_exchanged_as_it_is_or_not(api: Api, seen: Note, text: str) -> None:
    sent = text.format(key=api.key, prefix=KEY_PREFIX)
    answer = await api.http.post("/auth/token", json={"api_key": sent})
    seen(f"{answer.status_code} {answer.json()['error']}")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("how", ["revoked", "suspended"])
@pytest.mark.hostile_input(51, "a revoked key, a suspended account", "401, key and tokens alike, as if never known")
async def test_who_may_no_longer_come_in_hears_what_a_stranger_hears(api: Api, seen: Note, how: str) -> None:
    told = await tokens(api)
    (key,) = await api.house.accounts.keys(api.account.account_id)
    if how == "revoked":
        await api.house.accounts.revoke_key(key.key_id)
    else:
        await api.house.accounts.change(api.account.account_id, suspended=True)
    ours, stranger = [await api.http.get("/jobs", headers=api.bearer(key)) for key in (api.key, "tsk_live_never")]
    by_token = await api.http.get("/jobs", headers=api.bearer(told["access_token"]))
    exchange, unknown = [
        await api.http.post("/auth/token", json={"api_key": key}) for key in (api.key, "tsk_live_never")
    ]
    seen(f"{ours.status_code} {ours.json()['error']}, token {by_token.json()['error']}")
    assert (ours.status_code, ours.content) == (stranger.status_code, stranger.content) == (401, ours.content)
    assert (exchange.status_code, exchange.content) == (unknown.status_code, unknown.content) == (401, ours.content)
    assert (by_token.status_code, by_token.json()["error"]) == (401, "invalid_token")
    await refused_refresh(api, told["refresh_token"])


@pytest.mark.hostile_input(51, "31 guesses of keys within a minute", "429 with Retry-After, the right key too")
async def test_keys_cannot_be_guessed_in_numbers(api: Api, seen: Note) -> None:
    """Whoever guesses learns nothing by the answer to the right one."""
    guesses = [await api.http.post("/auth/token", json={"api_key": f"tsk_live_{n}"}) for n in range(31)]
    right = await api.http.post("/auth/token", json={"api_key": api.key})
    seen(f"{guesses[-1].status_code} after 30, {right.status_code} for the right one")
    assert [answer.status_code for answer in guesses] == [401] * 30 + [429]
    assert (right.status_code, right.json()["error"]) == (429, "rate_limited")
    assert 1 <= int(right.headers["retry-after"]) <= 60


@pytest.mark.hostile_input(51, "a thief of the database", "sha256 of the key, and nothing that opens anything")
async def test_a_key_and_its_tokens_are_nowhere_written_down(api: Api, seen: Note, tmp_path: Path) -> None:
    """Shown once, by an operator or by the exchange; the files of the server hold its digest alone."""
    async with api.admin() as admin:
        made = await admin.post("/keys", json={"account_id": api.account.account_id, "name": "ci"})
        listed = await admin.get("/keys")
    key = str(made.json()["text"])
    told = (await api.http.post("/auth/token", json={"api_key": key})).json()
    assert (await api.http.get("/jobs", headers=api.bearer(told["access_token"]))).status_code == 200
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    seen("the digest alone")
    assert sha256(key.encode()).hexdigest().encode() in written
    for secret in (key, key[len(KEY_PREFIX) :], told["access_token"], told["refresh_token"], ADMIN):
        assert secret.encode() not in written
        assert secret not in listed.text


@pytest.mark.parametrize(
    ("what", "headers"),
    [
        ("no header", []),
        ("the token alone", [("Authorization", ADMIN)]),
        ("Token", [("Authorization", f"Token {ADMIN}")]),
        ("two headers", [("Authorization", f"Bearer {ADMIN}"), ("Authorization", "Bearer x")]),
        ("a letter less", [("Authorization", f"Bearer {ADMIN[:-1]}")]),
        ("no ASCII", [(b"Authorization", b"Bearer \xff\xfe")]),
        ("a cookie", [("Cookie", f"token={ADMIN}")]),
    ],
)
@pytest.mark.hostile_input(51, "the admin corner without its one header", "404")
async def test_the_admin_corner_opens_for_its_one_header(api: Api, seen: Note, what: str, headers: Any) -> None:
    async with httpx2.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http:
        answer = await http.get("/_admin/accounts", headers=headers)
    seen(f"{what}: {answer.status_code}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
