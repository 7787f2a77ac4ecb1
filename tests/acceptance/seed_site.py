"""The service as the hosted service's page describes it: AssemblyAI first, Whisper Large-v3 behind it, run by `tiro up`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.acceptance.seed_client import Client, Receiver
from tests.acceptance.up import Up, check_agrees, environ, run, told
from tests.servers.scripted_http import Visit
from tests.stubs.hosted_engines import KEY, AssemblyAiStub

PRIMARY, FALLBACK = "assemblyai_universal_3", "whisper_large_v3"
PRO_MINUTES = 1
"""A month that is soon spent."""
_PATIENCE_S = 60.0


class Primary(AssemblyAiStub):
    """AssemblyAI, which answers nobody while `closed()`."""

    def __init__(self) -> None:
        super().__init__()
        self._open = threading.Event()
        self._open.set()
        self.scripts["/v2/upload"] = self._at_the_gate

    @contextlib.contextmanager
    def closed(self) -> Iterator[Callable[[], None]]:
        """Calls wait until the block ends, or until what it is given is called."""
        self._open.clear()
        try:
            yield self._open.set
        finally:
            self._open.set()

    @contextlib.contextmanager
    def saying(self, status: int, document: object) -> Iterator[None]:
        """Every upload is refused with this while the block runs."""
        self.say["upload"] = (status, document)
        try:
            yield
        finally:
            del self.say["upload"]

    def _at_the_gate(self, visit: Visit) -> None:
        assert self._open.wait(_PATIENCE_S)
        self._upload(visit)


class Member(msgspec.Struct, frozen=True):
    """An account and its key, as the dashboard shows them."""

    account_id: str
    key: str


class SeedSite:
    """One `tiro up` with all that the page speaks of. `owner`: its first account, whose minutes are not counted."""

    def __init__(self, up: Up, primary: Primary) -> None:
        ready = up.ready()
        self.data = up.folder
        self.primary = primary
        self.base = str(ready["api"])
        self.owner = Member(str(ready["account"]), str(ready["key"]))
        self._secrets: dict[str, str] = {}

    def client(self, member: Member | None = None, **how: Any) -> Client:
        return Client(self.base, (member or self.owner).key, **how)

    def receiver(self, member: Member | None = None) -> Receiver:
        """Knows the account's webhook secret, as the dashboard shows it."""
        account = (member or self.owner).account_id
        if account not in self._secrets:
            self._secrets[account] = told(self.data, "accounts", "webhook-secret", "show", account)["secret"]
        return Receiver(self._secrets[account])

    def member(self, plan: str, *switches: str) -> Member:
        """A new account, by the commands of an operator beside the running server."""
        account = told(self.data, "accounts", "create", "customer", "--plan", plan)["account_id"]
        if switches:
            told(self.data, "accounts", "set", account, *switches)
        return Member(account, told(self.data, "keys", "create", "--account", account)["text"])

    def operator(self, *words: str) -> None:
        run(self.data, *words)


@contextlib.contextmanager
def seed_site(folder: Path) -> Iterator[SeedSite]:
    """Running while the block does."""
    plans = folder / "plans.toml"
    plans.write_text(f"[plans.pro]\nminutes_month = {PRO_MINUTES}\n")
    with Primary() as primary:
        settings = {
            "TIRO_ENGINES": f"assemblyai,scripted:name=whisper;model={FALLBACK}",
            "TIRO_ASSEMBLYAI_URL": primary.url(""),
            "TIRO_ASSEMBLYAI_KEY": KEY,
            "TIRO_EGRESS_ALLOW": "127.0.0.0/8",
            "TIRO_HOOK_SCALE": "0.002",
            "TIRO_PLANS": str(plans),
        }
        up = Up(folder / "data", environ(folder / "data", **settings))
        try:
            yield SeedSite(up, primary)
            check_agrees(folder / "data")
        finally:
            up.end()
