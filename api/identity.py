"""Who asks? An API key, or a token made from one, becomes an account. Plans are never in tokens, and a revoked key ends its tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import jwt
import msgspec

from api.faces import HttpRequest
from tiro.model.account import Account, ApiKey
from tiro.model.errors import Unauthenticated
from tiro.model.family import Successor
from tiro.ports import Clock
from tiro.services.accounts import KEY_PREFIX, Accounts
from tiro.services.families import Families

ACCESS_S = 3_600
REFRESH_S = 30 * 24 * 3_600
LEEWAY_S = 60
"""Clocks differ; a token lives this much longer, and may come from this far ahead."""
_ALGORITHM = "HS256"
_ISSUER = "tiro"
_AUDIENCE = "tiro-api"
_LONGEST = 4_096
"""Characters of a credential that is looked at."""

TokenType = Literal["access", "refresh"]
_LIVES_S: dict[TokenType, int] = {"access": ACCESS_S, "refresh": REFRESH_S}


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a token says; times in unix seconds. `family`, and in refresh tokens `generation`: of tokens that rotate."""

    iss: str
    aud: str
    account: str
    key: str
    typ: TokenType
    iat: int
    nbf: int
    exp: int
    family: str | None = None
    generation: int | None = None


class Tokens(msgspec.Struct, frozen=True):
    """A pair of tokens and the seconds that each still lives."""

    access: str
    refresh: str
    access_s: int
    refresh_s: int


class Identity:
    """Proves who asks, per request, against the records as they are now."""

    def __init__(self, accounts: Accounts, families: Families, clock: Clock, token_key: bytes) -> None:
        self._accounts = accounts
        self._families = families
        self._clock = clock
        self._key = token_key

    async def account(self, request: HttpRequest) -> Account:
        """The account of the Bearer key or access token.

        Raises Unauthenticated `missing_token`, `invalid_token`, `token_expired`, `invalid_api_key`.
        """
        credential = bearer(request)
        if credential.startswith(KEY_PREFIX):
            account, _ = await self._accounts.by_key(credential)
            return account
        claims = self._claims(credential, "access", "invalid_token")
        if self._expired(claims):
            raise Unauthenticated("token_expired", "The access token has expired; get one with the refresh token.")
        return await self._holder(claims, "invalid_token")

    async def by_key(self, request: HttpRequest) -> tuple[Account, ApiKey]:
        """The account of the Bearer key, and the key; a token opens nothing here.

        Raises Unauthenticated `missing_token`, `invalid_token`, `invalid_api_key`.
        """
        return await self._accounts.by_key(bearer(request))

    async def exchange(self, api_key: str) -> Tokens:
        """Tokens for a key. Raises Unauthenticated `invalid_api_key`."""
        if not api_key.startswith(KEY_PREFIX) or len(api_key) > _LONGEST:
            raise Unauthenticated("invalid_api_key", "The API key is not valid.")
        account, key = await self._accounts.by_key(api_key)
        family = self._families.new_id() if account.rotate_refresh else None
        first = self._claims_of(account.account_id, key.key_id, "refresh", self._now(), family, 0 if family else None)
        return self._tokens(first, self._signed(first))

    async def refresh(self, token: str) -> Tokens:
        """A new access token. The refresh token stays the same for its 30 days, or where the account says so a new one follows it.

        Raises Unauthenticated `invalid_refresh_token`.
        """
        claims = self._claims(token, "refresh", "invalid_refresh_token")
        if self._expired(claims):
            raise _refused("invalid_refresh_token")
        account = await self._holder(claims, "invalid_refresh_token")
        if not account.rotate_refresh:
            return self._tokens(claims, token)
        family, successor = await self._successor(claims)
        made_at = int(successor.made_at.timestamp())
        following = self._claims_of(claims.account, claims.key, "refresh", made_at, family, successor.generation)
        return self._tokens(following, self._signed(following))

    async def _successor(self, claims: Claims) -> tuple[str, Successor]:
        """A token from before the switch was turned on stays good for its 30 days, as was said then; each use begins a family."""
        if claims.family is None:
            return self._families.new_id(), Successor(0, self._clock.now())
        lives = timedelta(seconds=REFRESH_S + LEEWAY_S)
        return claims.family, await self._families.use(claims.family, claims.generation or 0, lives=lives)

    def _tokens(self, refresh: Claims, text: str) -> Tokens:
        """The answer with this refresh token, and an access token of its family."""
        access = self._claims_of(refresh.account, refresh.key, "access", self._now(), refresh.family)
        return Tokens(self._signed(access), text, ACCESS_S, max(0, refresh.exp - self._now()))

    def _claims_of(
        self,
        account_id: str,
        key_id: str,
        typ: TokenType,
        made_at: int,
        family: str | None,
        generation: int | None = None,
    ) -> Claims:
        return Claims(
            iss=_ISSUER,
            aud=_AUDIENCE,
            account=account_id,
            key=key_id,
            typ=typ,
            iat=made_at,
            nbf=made_at,
            exp=made_at + _LIVES_S[typ],
            family=family,
            generation=generation,
        )

    def _signed(self, claims: Claims) -> str:
        return jwt.encode(msgspec.to_builtins(claims), self._key, algorithm=_ALGORITHM)

    def _claims(self, token: str, typ: TokenType, refusal: str) -> Claims:
        """Signature, algorithm, issuer, audience and kind; times are ours to judge, by our clock."""
        if len(token) > _LONGEST:
            raise _refused(refusal)
        unchecked: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            payload = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER, options=unchecked
            )
            claims = msgspec.convert(payload, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
            raise _refused(refusal) from None
        too_long = claims.exp - claims.iat > _LIVES_S[typ]
        if claims.typ != typ or too_long or max(claims.nbf, claims.iat) > self._now() + LEEWAY_S:
            raise _refused(refusal)
        return claims

    def _expired(self, claims: Claims) -> bool:
        return self._now() >= claims.exp + LEEWAY_S

    async def _holder(self, claims: Claims, refusal: str) -> Account:
        try:
            account = await self._accounts.by_key_id(claims.key, claims.family)
        except Unauthenticated:
            raise _refused(refusal) from None
        if account.account_id != claims.account:
            raise _refused(refusal)
        return account

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _refused(code: str) -> Unauthenticated:
    return Unauthenticated(code, "The token is not valid.")


def bearer(request: HttpRequest) -> str:
    """The one credential that was sent. Raises Unauthenticated `missing_token`, `invalid_token`."""
    sent = request.headers.getall("authorization", [])
    if not sent:
        raise Unauthenticated("missing_token", "Send Authorization: Bearer with an access token or an API key.")
    scheme, _, credential = sent[0].partition(" ")
    credential = credential.strip(" ")
    if len(sent) > 1 or scheme.lower() != "bearer" or not credential or len(credential) > _LONGEST:
        raise Unauthenticated("invalid_token", "The Authorization header is not a single Bearer credential.")
    return credential
