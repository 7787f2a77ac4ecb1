"""By which keys does a receiver check our webhooks? The document of all keys that may have signed one, for everybody."""

from __future__ import annotations

import base64

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from api.faces import Answer, HttpRequest, json_answer
from tiro.model.signing import SigningKey
from tiro.services.signing import Signing
from tiro.sign.ed25519 import public_pem

PATH = "/.well-known/transcribeapi-webhook-keys.json"
_CACHED = {"Cache-Control": "public, max-age=300"}
"""Well below the time for which a key is published before it signs."""


class WebhookKey(msgspec.Struct, frozen=True):
    """A key as JOSE libraries read it (RFC 8037), and as PEM."""

    kid: str
    x: str
    public_key_pem: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


class WebhookKeys(msgspec.Struct, frozen=True):
    """The whole document."""

    keys: list[WebhookKey]


class WebhookKeyRoutes:
    """The one public route of the dialect."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    def handlers(self) -> list[HTTPRouteHandler]:
        return [get(PATH)(self.keys)]

    async def keys(self, request: HttpRequest) -> Answer:
        """Without a key; the first one is made for whoever asks first."""
        published = await self._signing.published()
        return json_answer(WebhookKeys([_shown(key) for key in published]), headers=_CACHED)


def _shown(key: SigningKey) -> WebhookKey:
    return WebhookKey(
        kid=key.key_id,
        x=base64.urlsafe_b64encode(key.public).rstrip(b"=").decode(),
        public_key_pem=public_pem(key.public),
    )
