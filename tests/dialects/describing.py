"""What a server says of itself, and what is so: its OpenAPI documents, its routes, and answers held against them."""

from __future__ import annotations

from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from litestar import Litestar
from litestar.routes import HTTPRoute

from api.app import create_app
from api.config import ApiConfig
from tests.servers.api import ADMIN, PUBLIC_URL, TOKEN_KEY, Api


async def document_of(api: Api, path: str = "/openapi.json") -> dict[str, Any]:
    """Without a key."""
    answer = await api.http.get(path, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return dict(answer.json())


def check(document: dict[str, Any], operation: dict[str, Any], status: int, media: str, body: bytes) -> None:
    """An answer against what the document says of it."""
    said = operation["responses"][str(status)]
    if "content" not in said:
        assert body == b""
        return
    schema = said["content"][media]
    if media == "application/json":
        whole = {**schema["schema"], "components": document["components"]}
        Draft202012Validator(whole).validate(msgspec.json.decode(body))


def served(api: Api) -> set[tuple[str, str]]:
    """Method and path of every route of such a server, whoever owns it, documented or not."""
    app = create_app(api.house, ApiConfig(public_url=PUBLIC_URL, token_key=TOKEN_KEY, admin_token=ADMIN))._app
    assert isinstance(app, Litestar)
    return {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }
