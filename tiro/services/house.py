"""Everything a process of ours works with: its ports and its services, in one frozen struct, made by wiring."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from tiro.model.plans import Plans
from tiro.model.speech import EngineFacts
from tiro.ports import Blobs, Clock, Courier, Fetcher, Ids, Orchestrator, Preparer, Records, Vault
from tiro.services.accounts import Accounts
from tiro.services.audit import Audit
from tiro.services.batch_line import BatchLine
from tiro.services.batches import Batches
from tiro.services.dispatch import Dispatch
from tiro.services.ending import Endings
from tiro.services.families import Families
from tiro.services.hooks import Hooks
from tiro.services.intake import Intake
from tiro.services.jobs import Jobs
from tiro.services.line import Line
from tiro.services.results import Results
from tiro.services.signing import Signing
from tiro.services.upkeep import Upkeep
from tiro.services.uploads import Uploads
from tiro.services.waiting import Waits
from tiro.services.wallets import Wallets
from tiro.sign import Passes


class Bell:
    """Wakes the relay of this process: rung after commits, waited for by one loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Something was ordered."""
        self._event.set()

    async def wait(self, at_most_s: float) -> None:
        """Until it rings, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._event.wait()
        self._event.clear()


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Ports and services of one process."""

    clock: Clock
    ids: Ids
    vault: Vault
    records: Records
    blobs: Blobs
    orchestrator: Orchestrator
    fetcher: Fetcher
    courier: Courier
    plans: Plans
    chain: tuple[EngineFacts, ...]
    bell: Bell
    accounts: Accounts
    wallets: Wallets
    families: Families
    intake: Intake
    batches: Batches
    jobs: Jobs
    waits: Waits
    endings: Endings
    dispatch: Dispatch
    line: Line
    batch_line: BatchLine
    hooks: Hooks
    signing: Signing
    passes: Passes
    uploads: Uploads
    results: Results
    upkeep: Upkeep
    audit: Audit
    preparer: Preparer
