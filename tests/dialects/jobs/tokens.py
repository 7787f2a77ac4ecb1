"""What a client does with tokens."""

from __future__ import annotations

from typing import Any

from tests.servers.api import Api


async def tokens(api: Api) -> dict[str, Any]:
    """An exchange of the account's key."""
    answer = await api.http.post("/auth/token", json={"api_key": api.key})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refresh(api: Api, token: str) -> dict[str, Any]:
    answer = await api.http.post("/auth/refresh", json={"refresh_token": token})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refused_refresh(api: Api, token: str) -> None:
    """401 with its code, in the body and in WWW-Authenticate."""
    answer = await api.http.post("/auth/refresh", json={"refresh_token": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_refresh_token")
    assert 'error="invalid_refresh_token"' in answer.headers["www-authenticate"]


async def status(api: Api, credential: str) -> tuple[int, str]:
    """What a call with this credential ends with, and its code where it is refused."""
    answer = await api.http.get("/jobs", headers=api.bearer(credential))
    return answer.status_code, answer.json().get("error", "")
