"""Who asks: accounts are made, keys are made, checked and revoked, plans and webhook secrets are changed."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

import msgspec

from tiro.model.account import Account, ApiKey
from tiro.model.errors import Conflict, Invalid, NotFound, Unauthenticated
from tiro.model.hook import WebhookSecrets
from tiro.model.ledger import Usage, month_of
from tiro.model.plans import Plans
from tiro.model.speech import EngineFacts
from tiro.model.wallet import start_of
from tiro.ports import Clock, Ids, Records, Transaction, Vault

KEY_PREFIX = "tsk_live_"
PREVIOUS_SECRET_FOR = timedelta(hours=24)


class NewKey(msgspec.Struct, frozen=True):
    """A key at the one moment when its text is known."""

    key: ApiKey
    text: str


class Accounts:
    """Accounts and how they prove who they are. Key texts are shown once and kept as sha256 only."""

    def __init__(
        self, records: Records, vault: Vault, clock: Clock, ids: Ids, plans: Plans, chain: Sequence[EngineFacts]
    ) -> None:
        self._records = records
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._plans = plans
        self._engines = tuple(facts.id for facts in chain)

    async def create(
        self,
        name: str,
        plan: str = "free",
        *,
        email: str | None = None,
        verified: bool | None = None,
        unmetered: bool = False,
    ) -> Account:
        """A new account with a webhook secret and its plan's starting credit. Raises Invalid for an unknown plan.

        `verified` None: unless there is an address that is still to be.
        """
        start_micros = self._plans.named(plan).starting_credit_micros
        account = Account(
            account_id=self._ids.new("acct"),
            name=name,
            plan=plan,
            created_at=self._clock.now(),
            email=email,
            verified=email is None if verified is None else verified,
            unmetered=unmetered,
            overage=unmetered,
        )
        async with self._records.begin() as tx:
            await tx.accounts.add(account)
            await tx.accounts.save_webhook_secrets(account.account_id, WebhookSecrets(active=self._new_secret()))
            if start_micros:
                name = start_of(account.account_id)
                await tx.wallets.credit(
                    account.account_id, start_micros, name=name, note="starting credit", now=account.created_at
                )
        return account

    async def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        async with self._records.begin() as tx:
            return await existing(tx, account_id)

    async def all(self) -> list[Account]:
        """Every account, oldest first."""
        async with self._records.begin() as tx:
            return await tx.accounts.all()

    async def change(
        self,
        account_id: str,
        *,
        plan: str | None = None,
        overage: bool | None = None,
        queueing: bool | None = None,
        suspended: bool | None = None,
        keep_audio: bool | None = None,
        rotate_refresh: bool | None = None,
        self_topup: bool | None = None,
        verified: bool | None = None,
        engines: Sequence[str] | None = None,
    ) -> Account:
        """Change what is given; it holds from the next request on. `engines` empty: the whole chain. Raises NotFound, Invalid."""
        if plan is not None:
            self._plans.named(plan)
        wanted = {
            "plan": plan,
            "overage": overage,
            "queueing": queueing,
            "suspended": suspended,
            "keep_audio": keep_audio,
            "rotate_refresh": rotate_refresh,
            "self_topup": self_topup,
            "verified": verified,
            "engines": None if engines is None else self._of_the_chain(engines),
        }
        async with self._records.begin() as tx:
            account = await existing(tx, account_id)
            account = msgspec.structs.replace(
                account, **{name: value for name, value in wanted.items() if value is not None}
            )
            await tx.accounts.save(account)
        return account

    async def usage(self, account_id: str, month: str | None = None) -> Usage:
        """Seconds and money of a month (`YYYY-MM`; None: this one)."""
        async with self._records.begin() as tx:
            await existing(tx, account_id)
            return await tx.ledger.usage(account_id, month or month_of(self._clock.now()))

    async def create_key(self, account_id: str, name: str) -> NewKey:
        """A new key. Raises NotFound, Conflict `too_many_keys` (the plan's cap)."""
        text = KEY_PREFIX + urlsafe_b64encode(self._ids.secret(32)).rstrip(b"=").decode()
        key = ApiKey(
            key_id=self._ids.new("key"),
            account_id=account_id,
            name=name,
            sha256=digest(text),
            hint=text[-4:],
            created_at=self._clock.now(),
        )
        async with self._records.begin() as tx:
            await tx.accounts.lock(account_id)
            account = await existing(tx, account_id)
            cap = self._plans.of(account).max_keys
            if sum(1 for other in await tx.accounts.keys(account_id) if other.revoked_at is None) >= cap:
                raise Conflict("too_many_keys", f"This plan allows {cap} keys; revoke one first.", limit=cap)
            await tx.accounts.add_key(key)
        return NewKey(key, text)

    async def keys(self, account_id: str | None = None) -> list[ApiKey]:
        """Keys of one account, or all."""
        async with self._records.begin() as tx:
            return await tx.accounts.keys(account_id)

    async def revoke_key(self, key_id: str) -> None:
        """From now on the key, and every token made from it, is refused. Raises NotFound."""
        async with self._records.begin() as tx:
            if not await tx.accounts.revoke_key(key_id, self._clock.now()):
                raise NotFound("key_not_found", "There is no such key, or it was revoked before.")

    async def by_key(self, text: str) -> tuple[Account, ApiKey]:
        """Who holds this key. Raises Unauthenticated `invalid_api_key` alike for unknown, revoked and suspended."""
        async with self._records.look() as tx:
            key, account = _admitted(await tx.accounts.holder(digest(text)))
        # by the minute: thousands of requests a minute would wait in line to write to one row
        minute = self._clock.now().replace(second=0, microsecond=0)
        if key.last_used_at is None or key.last_used_at < minute:
            async with self._records.begin() as tx:
                await tx.accounts.touch_key(key.key_id, minute)
        return account, key

    async def by_key_id(self, key_id: str, family_id: str | None = None) -> Account:
        """Who holds the key that a token was made from, as long as neither it nor the token's family is revoked.

        Raises Unauthenticated.
        """
        async with self._records.look() as tx:
            family = None if family_id is None else await tx.families.get(family_id)
            if family is not None and family.revoked_at is not None:
                raise Unauthenticated("invalid_token", "The token is not valid.")
            return _admitted(await tx.accounts.holder_by_id(key_id))[1]

    async def webhook_secret(self, account_id: str, *, upcoming: bool = False) -> str:
        """The secret that signs now (or with `upcoming` the one made by `rotate`). Raises NotFound."""
        async with self._records.begin() as tx:
            secrets = await _secrets(tx, account_id)
        sealed = secrets.next if upcoming else secrets.active
        if sealed is None:
            raise NotFound("no_next_secret", "There is no next secret; make one first.")
        return self._vault.open(sealed).decode()

    async def next_webhook_secret(self, account_id: str) -> str:
        """Make the next secret (or show the one that waits); signing goes on with the active one."""
        async with self._records.begin() as tx:
            secrets = await _secrets(tx, account_id)
            if secrets.next is None:
                secrets = msgspec.structs.replace(secrets, next=self._new_secret())
                await tx.accounts.save_webhook_secrets(account_id, secrets)
        assert secrets.next is not None
        return self._vault.open(secrets.next).decode()

    async def activate_webhook_secret(self, account_id: str) -> None:
        """Sign with the next secret; the one before signs along for 24 h. Raises Conflict without a next one."""
        async with self._records.begin() as tx:
            secrets = await _secrets(tx, account_id)
            if secrets.next is None:
                raise Conflict(
                    "no_next_secret", "There is no next secret; make one first: `tiro accounts webhook-secret next`."
                )
            rotated = WebhookSecrets(
                active=secrets.next,
                previous=secrets.active,
                previous_until=self._clock.now() + PREVIOUS_SECRET_FOR,
            )
            await tx.accounts.save_webhook_secrets(account_id, rotated)

    async def plans_in_use(self) -> dict[str, int]:
        """Plan -> how many accounts are on it."""
        async with self._records.begin() as tx:
            return await tx.accounts.plans()

    async def check_plans(self) -> None:
        """To be asked before anybody else asks: raises Invalid `plan_missing`, naming the plans that accounts are on and nobody set."""
        used = await self.plans_in_use()
        for plan in self._plans.missing(used):
            many = "1 account is" if used[plan] == 1 else f"{used[plan]} accounts are"
            raise Invalid(
                "plan_missing", f"{many} on the plan {plan!r}, which is not in the settings: name it in TIRO_PLANS."
            )

    def _of_the_chain(self, engines: Sequence[str]) -> tuple[str, ...]:
        """Raises Invalid `unknown_engine`."""
        for engine in engines:
            if engine not in self._engines:
                chain = ", ".join(self._engines)
                message = f"{engine!r} is not in the chain of this server; there are {chain}."
                raise Invalid("unknown_engine", message, param="engines")
        return tuple(dict.fromkeys(engines))

    def _new_secret(self) -> bytes:
        return self._vault.seal(b"whsec_" + urlsafe_b64encode(self._ids.secret(32)).rstrip(b"="))


def _admitted(held: tuple[ApiKey, Account] | None) -> tuple[ApiKey, Account]:
    """Raises Unauthenticated `invalid_api_key` for a key that opens nothing."""
    if held is None or held[0].revoked_at is not None or held[1].suspended:
        raise Unauthenticated("invalid_api_key", "The API key is not valid.")
    return held


def digest(text: str) -> str:
    """How a key is kept and looked up: sha256, hex. Keys carry 256 random bits, so no salt or stretching is needed."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def existing(tx: Transaction, account_id: str) -> Account:
    """Raises NotFound."""
    account = await tx.accounts.get(account_id)
    if account is None:
        raise NotFound("account_not_found", "There is no such account. `tiro accounts list` shows those that are.")
    return account


async def _secrets(tx: Transaction, account_id: str) -> WebhookSecrets:
    secrets = await tx.accounts.webhook_secrets(account_id)
    if secrets is None:
        raise NotFound("account_not_found", "There is no such account. `tiro accounts list` shows those that are.")
    return secrets
