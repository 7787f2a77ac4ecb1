"""Accounts, keys and webhook secrets in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, bindparam, func, insert, select, update

from tiro.adapters.database.rows import Rows, read, write
from tiro.adapters.database.tables import accounts, api_keys, webhook_secrets
from tiro.model.account import Account, ApiKey
from tiro.model.hook import WebhookSecrets

_ACCOUNT = select(accounts).where(accounts.c.account_id == bindparam("account_id"))
_HOLDER = select(accounts, *(column.label(f"key_{column.name}") for column in api_keys.c)).where(
    accounts.c.account_id == api_keys.c.account_id
)
_HOLDER_BY_SHA256 = _HOLDER.where(api_keys.c.sha256 == bindparam("sha256"))
_HOLDER_BY_ID = _HOLDER.where(api_keys.c.key_id == bindparam("key_id"))


class SqlAccounts:
    """The `Accounts` port inside one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, account: Account) -> None:
        await self._rows.run(insert(accounts), write(account))

    async def get(self, account_id: str) -> Account | None:
        row = await self._rows.one(_ACCOUNT, {"account_id": account_id})
        return None if row is None else read(Account, row)

    async def lock(self, account_id: str) -> None:
        # jobs of the account may still be added, and the relay passes it over this once
        await self._rows.one(_ACCOUNT.with_for_update(key_share=True), {"account_id": account_id})

    async def all(self) -> list[Account]:
        rows = await self._rows.all(select(accounts).order_by(accounts.c.created_at, accounts.c.account_id))
        return [read(Account, row) for row in rows]

    async def plans(self) -> dict[str, int]:
        query = select(accounts.c.plan, func.count().label("many")).group_by(accounts.c.plan).order_by(accounts.c.plan)
        return {row["plan"]: int(row["many"]) for row in await self._rows.all(query)}

    async def save(self, account: Account) -> None:
        values = write(account)
        del values["running"], values["account_id"]
        await self._rows.run(update(accounts).where(accounts.c.account_id == account.account_id).values(values))

    async def add_key(self, key: ApiKey) -> None:
        await self._rows.run(insert(api_keys), write(key))

    async def key(self, key_id: str) -> ApiKey | None:
        row = await self._rows.one(select(api_keys).where(api_keys.c.key_id == key_id))
        return None if row is None else read(ApiKey, row)

    async def holder(self, sha256: str) -> tuple[ApiKey, Account] | None:
        return _held(await self._rows.one(_HOLDER_BY_SHA256, {"sha256": sha256}))

    async def holder_by_id(self, key_id: str) -> tuple[ApiKey, Account] | None:
        return _held(await self._rows.one(_HOLDER_BY_ID, {"key_id": key_id}))

    async def keys(self, account_id: str | None = None) -> list[ApiKey]:
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        if account_id is not None:
            query = query.where(api_keys.c.account_id == account_id)
        return [read(ApiKey, row) for row in await self._rows.all(query)]

    async def touch_key(self, key_id: str, at: datetime) -> None:
        later = api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at < at)
        await self._rows.run(update(api_keys).where(api_keys.c.key_id == key_id, later).values(last_used_at=at))

    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        stands = (api_keys.c.key_id == key_id) & api_keys.c.revoked_at.is_(None)
        return await self._rows.run(update(api_keys).where(stands).values(revoked_at=at)) == 1

    async def webhook_secrets(self, account_id: str) -> WebhookSecrets | None:
        row = await self._rows.one(select(webhook_secrets).where(webhook_secrets.c.account_id == account_id))
        return None if row is None else read(WebhookSecrets, row)

    async def save_webhook_secrets(self, account_id: str, secrets: WebhookSecrets) -> None:
        values = write(secrets)
        if not await self._rows.insert_new(webhook_secrets, {"account_id": account_id, **values}):
            await self._rows.run(
                update(webhook_secrets).where(webhook_secrets.c.account_id == account_id).values(values)
            )


def _held(row: RowMapping | None) -> tuple[ApiKey, Account] | None:
    return None if row is None else (read(ApiKey, row, "key_"), read(Account, row))
