"""Who may come in, and how often? An API key of an account whose e-mail address is verified, so many times a minute."""

from __future__ import annotations

from api.faces import HttpRequest
from api.identity import Identity
from tiro.model.account import Account, ApiKey
from tiro.model.errors import Permanent, RateLimited
from tiro.model.plans import Plans
from tiro.services.limiter import Limiter, Rate

WITHIN_S = 60
UPLOAD_CALLS = 600
"""Questions for addresses of uploads; each may sign five hundred, or ask the store what is there."""


class Door:
    """Asked first by every route that needs a key."""

    def __init__(self, identity: Identity, limiter: Limiter, plans: Plans) -> None:
        self._identity = identity
        self._limiter = limiter
        self._plans = plans

    async def enter(self, request: HttpRequest) -> tuple[Account, ApiKey]:
        """Raises Unauthenticated `missing_token`, `invalid_token`, `invalid_api_key`, Permanent `email_not_verified`."""
        account, key = await self._identity.by_key(request)
        if not account.verified:
            raise Permanent("email_not_verified", "Verify the e-mail address of this account before using the API.")
        return account, key

    async def account(self, request: HttpRequest) -> Account:
        """As `enter`."""
        return (await self.enter(request))[0]

    async def submitter(self, request: HttpRequest) -> tuple[Account, ApiKey]:
        """Of a request for a transcription: it counts for its account. As `enter`, and RateLimited with the `limits` of the plan."""
        account, key = await self.enter(request)
        plan = self._plans.of(account)
        try:
            await self._limiter.count(
                Rate(("transcribe", account.account_id), plan.requests_minute, within_s=WITHIN_S),
            )
        except RateLimited as refused:
            limits = {"plan": plan.name, "requests_per_minute": plan.requests_minute}
            raise RateLimited(message=refused.message, limits=limits, **refused.extras) from None
        return account, key

    async def uploader(self, request: HttpRequest) -> Account:
        """Of a question for addresses: counted apart from requests for transcriptions. As `enter`, and RateLimited with its `limits`."""
        account = await self.account(request)
        try:
            await self._limiter.count(Rate(("transcribe-uploads", account.account_id), UPLOAD_CALLS, within_s=WITHIN_S))
        except RateLimited as refused:
            limits = {"upload_requests_per_minute": UPLOAD_CALLS}
            raise RateLimited(message=refused.message, limits=limits, **refused.extras) from None
        return account
