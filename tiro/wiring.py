"""Settings become adapters become services: the only file that names concrete classes.

`Core` is what every process needs; `Machines` what only workers need, and only those of the queues they serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import httpx2
import msgspec
from temporalio.client import Client

from tiro.adapters.database.records import open_records
from tiro.adapters.egress.clients import trusted_client
from tiro.adapters.egress.courier import WebCourier
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.sites import Sites
from tiro.adapters.engines.registry import chain_capabilities, resolve_chain
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.scratch import clear, passing_folder, root_of
from tiro.adapters.storage import open_blobs, open_desk
from tiro.adapters.storage.desk_folder import FolderDesk
from tiro.adapters.system import SystemClock, SystemIds
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.orchestrator import TemporalOrchestrator
from tiro.adapters.vault import SealedVault, derive
from tiro.model.errors import Transient
from tiro.model.plans import Plans
from tiro.model.speech import EngineFacts
from tiro.ports import Blobs, Clock, Courier, Diarizer, Engine, Fetcher, Ids, Orchestrator, Preparer, Records, Vault
from tiro.services.accounts import Accounts
from tiro.services.audit import Audit
from tiro.services.batch_line import BatchLine
from tiro.services.batches import Batches
from tiro.services.dispatch import Dispatch
from tiro.services.ending import Endings
from tiro.services.families import Families
from tiro.services.hooks import Hooks
from tiro.services.house import Bell, House
from tiro.services.intake import Intake
from tiro.services.jobs import Jobs
from tiro.services.line import Line
from tiro.services.results import Results
from tiro.services.signing import Signing
from tiro.services.upkeep import Upkeep
from tiro.services.uploads import Uploads
from tiro.services.waiting import Waits
from tiro.services.wallets import Wallets
from tiro.settings import Settings
from tiro.sign import Passes

_log = logging.getLogger("tiro.wiring")


class Core(msgspec.Struct, frozen=True):
    """A process of ours before it becomes an API or a worker."""

    settings: Settings
    client: Client
    house: House

    async def check(self) -> None:
        """To be called before anybody is served: all accounts are on plans that there are. Raises Invalid `plan_missing`.

        A database that is away is not waited for: it says so to whoever asks next.
        """
        with contextlib.suppress(Transient):
            await self.house.accounts.check_plans()

    async def close(self) -> None:
        """Give back what is open, and end the decoder's children."""
        await asyncio.to_thread(self.house.preparer.close)
        await self.house.records.close()


async def build_core(settings: Settings) -> Core:
    """Connects to nothing yet; the first use of a port does. Raises Invalid for settings that cannot be."""
    if settings.egress_allow:
        _log.warning(
            "TIRO_EGRESS_ALLOW opens private networks to strangers' URLs: %s", ", ".join(settings.egress_allow)
        )
    client = await connect(settings.temporal)
    return Core(settings, client, build_house(settings, TemporalOrchestrator(client)))


class _Base(msgspec.Struct, frozen=True):
    """What services are made of: those fields of a `House` that need nothing but the settings."""

    clock: Clock
    ids: Ids
    vault: Vault
    records: Records
    blobs: Blobs
    fetcher: Fetcher
    courier: Courier
    plans: Plans
    chain: tuple[EngineFacts, ...]
    bell: Bell
    passes: Passes
    preparer: Preparer


def build_house(settings: Settings, orchestrator: Orchestrator, clock: Clock | None = None) -> House:
    """Ports and services; the orchestrator is given, since tests and tools bring their own; `clock` None: the system's."""
    on = _base(settings, clock or SystemClock())
    clock, records, blobs, vault, plans, ring = on.clock, on.records, on.blobs, on.vault, on.plans, on.bell.ring
    intake = Intake(records, vault, clock, on.ids, on.fetcher, on.courier, plans, on.chain, ring)
    signing = Signing(records, vault, clock, on.ids)
    endings = Endings(
        records,
        blobs,
        clock,
        plans,
        ring,
        public_url=settings.public_url,
        passes=on.passes,
        hook_scale=settings.hook_scale,
    )
    return House(
        **msgspec.structs.asdict(on),
        orchestrator=orchestrator,
        accounts=Accounts(records, vault, clock, on.ids, plans, on.chain),
        wallets=Wallets(records, clock, on.ids),
        families=Families(records, clock, on.ids),
        intake=intake,
        batches=Batches(records, blobs, on.fetcher, intake),
        jobs=Jobs(records, blobs, orchestrator, endings, clock, ring),
        waits=Waits(records, orchestrator),
        endings=endings,
        dispatch=Dispatch(records, orchestrator, endings, plans, clock),
        line=Line(records, blobs, vault, clock, plans, on.chain),
        batch_line=BatchLine(records, clock, plans, endings),
        hooks=Hooks(records, blobs, vault, on.courier, clock, signing),
        signing=signing,
        uploads=_uploads(settings, on, intake, endings),
        results=Results(records, blobs, clock),
        upkeep=Upkeep(records, blobs, orchestrator, endings, clock),
        audit=Audit(records, blobs, orchestrator, clock, plans),
    )


def _base(settings: Settings, clock: Clock) -> _Base:
    guard = Guard(settings.egress_allow, ours=settings.public_url)
    return _Base(
        clock=clock,
        ids=SystemIds(),
        vault=SealedVault(settings.secret_key),
        records=open_records(settings.database_url, clock),
        blobs=open_blobs(settings.blobs_url),
        fetcher=WebFetcher(guard, Sites(guard, scratch_folder(settings))),
        courier=WebCourier(guard),
        plans=Plans(settings.plans),
        chain=engine_facts(settings),
        bell=Bell(),
        passes=Passes(derive(settings.secret_key, "links"), settings.public_url),
        preparer=build_preparer(settings),
    )


def _uploads(settings: Settings, on: _Base, intake: Intake, endings: Endings) -> Uploads:
    desk = open_desk(settings.blobs_url, on.blobs, on.passes, on.clock, public=settings.s3_public_url)
    parts = desk if isinstance(desk, FolderDesk) else None
    return Uploads(on.records, on.blobs, desk, parts, on.passes, intake, endings, on.plans, on.clock, on.bell.ring)


def engine_client(settings: Settings) -> httpx2.AsyncClient:
    """What hosted engines speak through: it reaches the servers of the settings, and no others."""
    return trusted_client(filter(None, (settings.openai_url, settings.assemblyai_url)))


def engine_facts(settings: Settings) -> tuple[EngineFacts, ...]:
    """What the chain can do, known without loading it."""
    return tuple(
        EngineFacts(
            id=one.id, model=one.model, languages=one.languages, tasks=frozenset(one.tasks), detects=one.detects
        )
        for one in chain_capabilities(settings)
    )


def build_preparer(settings: Settings) -> Preparer:
    """The decoder; its children start when first used. Numbered audio is no speech: the scripted engine goes by level."""
    scripted = any(name.partition(":")[0] == "scripted" for name in settings.engines)
    return ChildPreparer(
        span_s=settings.span_s, scratch=scratch_folder(settings), vad="energy" if scripted else "silero"
    )


def scratch_folder(settings: Settings) -> Path:
    """Where files in passing lie; ours to empty."""
    return root_of(settings.scratch)


class Machines:
    """Engines and diarizers of a worker, made for the queues it serves; `start` loads models."""

    def __init__(
        self, settings: Settings, preparer: Preparer, queues: frozenset[str], say: Callable[[str], None]
    ) -> None:
        from tiro.adapters.diarizers.registry import channels_diarizer, resolve_diarizer

        self.preparer = preparer
        root = scratch_folder(settings)
        clear(root)
        self._held = contextlib.ExitStack()
        self.scratch = self._held.enter_context(passing_folder(root, "worker-"))
        self.engines: dict[str, Engine] = {}
        self.separate: Diarizer = channels_diarizer()
        self.mixed: Diarizer = self.separate
        if "speech" in queues:
            chain = resolve_chain(settings, lambda: engine_client(settings))
            self.engines = {engine.id: engine for engine in chain.engines}
            for warning in chain.warnings:
                say(warning)
        if "voices" in queues:
            self.mixed, warnings = resolve_diarizer(settings)
            for warning in warnings:
                say(warning)

    async def start(self) -> None:
        """Load what must be resident. Raises Permanent `engine_unavailable` with the way out."""
        for engine in self.engines.values():
            await engine.start()

    async def stop(self) -> None:
        """End every child."""
        for engine in self.engines.values():
            await engine.stop()
        for diarizer in {id(one): one for one in (self.mixed, self.separate)}.values():
            await asyncio.to_thread(diarizer.close)
        await asyncio.to_thread(self._held.close)
