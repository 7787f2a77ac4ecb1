"""`tiro hooks`: the keys by which receivers know that a webhook is ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.console import data_option, json_option, reaching, say, show_one, show_rows

if TYPE_CHECKING:
    from api.admin.wire import SigningKeyRow
    from commands.reach import Reach

_COLUMNS = {
    "key_id": "KEY",
    "state": "STATE",
    "created_at": "CREATED",
    "published_until": "PUBLISHED UNTIL",
    "public_key": "PUBLIC KEY",
}


@click.group()
def hooks() -> None:
    """Webhooks that are signed with a key of this server's own."""


@hooks.group(short_help="The keys that sign them, and their change: list, next, activate.")
def keys() -> None:
    """The keys that sign webhooks of the transcribe API (Ed25519), and their change without a gap.

    Receivers read the public halves at /.well-known/transcribeapi-webhook-keys.json and choose by the id in the header. So a change has
    two steps: `next` makes a key and publishes it, and nothing is signed with it yet. A quarter of an hour later, when nobody's copy of
    the document is older than the key, `activate` signs with it; the key before stays published for 24 h, since what it signed may still
    wait somewhere. Then it is forgotten.

    A key that others may know: `next`, then at once `activate --compromised`. Nothing is accepted by the old key any more.
    """


@keys.command("list")
@data_option
@json_option
def list_keys(data: Path | None, *, as_json: bool) -> None:
    """The keys that are published, oldest first: `active` signs, `next` will, `retired` no longer does."""

    async def work(there: Reach) -> list[SigningKeyRow]:
        from api.admin.wire import SigningKeyRows

        return (await there.get("/signing-keys", SigningKeyRows)).keys

    show_rows(reaching(data, work), _COLUMNS, as_json=as_json)


@keys.command("next")
@data_option
@json_option
def make_next(data: Path | None, *, as_json: bool) -> None:
    """Make and publish the coming key, or show the one that waits. Step 1 of 2."""

    async def work(there: Reach) -> SigningKeyRow:
        from api.admin.wire import SigningKeyRow

        return await there.post("/signing-keys/next", SigningKeyRow)

    show_one(reaching(data, work), as_json=as_json)
    say("Published from now on. In 15 minutes: `tiro hooks keys activate`.")


@keys.command()
@click.option("--compromised", is_flag=True, help="At once, and the key before is published no more.")
@data_option
@json_option
def activate(data: Path | None, *, compromised: bool, as_json: bool) -> None:
    """Sign with the coming key from now on; the one before stays published for 24 h. Step 2 of 2."""

    async def work(there: Reach) -> SigningKeyRow:
        from api.admin.wire import Activation, SigningKeyRow

        return await there.post("/signing-keys/activate", SigningKeyRow, Activation(compromised))

    show_one(reaching(data, work), as_json=as_json)
