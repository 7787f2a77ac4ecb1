"""The operator's hand on the server's signing keys: see them, make the next one, let it sign."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from api.admin.wire import Activation, SigningKeyRow, SigningKeyRows
from api.body import read_json, take
from api.config import RequestLimits
from api.faces import Answer, HttpRequest, json_answer
from tiro.model.signing import SigningKey
from tiro.services.signing import Signing


class SigningAdmin:
    """Never a private half: what signs is seen by nobody."""

    def __init__(self, signing: Signing, limits: RequestLimits) -> None:
        self._signing = signing
        self._limits = limits

    def handlers(self) -> list[tuple[Callable[..., HTTPRouteHandler], str, Callable[..., Awaitable[Answer]]]]:
        return [
            (get, "/signing-keys", self.keys),
            (post, "/signing-keys/next", self.prepare),
            (post, "/signing-keys/activate", self.activate),
        ]

    async def keys(self, request: HttpRequest) -> Answer:
        return json_answer(SigningKeyRows([_row(key) for key in await self._signing.published()]))

    async def prepare(self, request: HttpRequest) -> Answer:
        return json_answer(_row(await self._signing.prepare()))

    async def activate(self, request: HttpRequest) -> Answer:
        wish = take(await read_json(request, self._limits), Activation)
        return json_answer(_row(await self._signing.activate(compromised=wish.compromised)))


def _row(key: SigningKey) -> SigningKeyRow:
    return SigningKeyRow(
        key_id=key.key_id,
        state=key.state,
        created_at=key.created_at,
        published_until=key.retired_at,
        public_key=base64.b64encode(key.public).decode(),
    )
