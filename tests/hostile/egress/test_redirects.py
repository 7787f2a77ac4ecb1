"""Is an address that a server names checked like one that a stranger names?"""

from __future__ import annotations

import asyncio

import httpx2
import numpy as np
import pytest

from tests.hostile.egress.network import Network
from tests.hostile.egress.table import Case, Outcomes, parameters
from tests.hostile.egress.ways import download, webhook
from tests.hostile.egress.world import LEADS, SITE
from tiro.adapters.egress.clients import trusted_client
from tiro.adapters.egress.guard import Guard
from tiro.adapters.engines.abilities import Abilities
from tiro.adapters.engines.openai import OpenAiEngine
from tiro.model.speech import EngineOptions

OTHERWISE = {
    **dict.fromkeys(("file", "ftp", "gopher", "data", "script", "plain", "metadata"), "scheme"),
    "password": "credentials",
    "octal": "malformed_url",
    "nowhere": "too_many_redirects",
    "long": "url_too_long",
    "other": "recording",
    "turned": "recording",
}
"""Where a lead comes to something else than forbidden_address."""


def _led(name: str, location: str) -> Case:
    url = f"{SITE}/to/{name}"
    what = f"a redirect to {location if len(location) < 100 else f'{len(location)} characters'}"
    return Case(48, what, OTHERWISE.get(name, "forbidden_address"), lambda network: download(network, url, Guard()))


def _called(name: str, location: str) -> Case:
    what = f"a webhook redirected to {location}"
    return Case(48, what, "302, a failure", lambda network: _failure(webhook(network, f"{SITE}/to/{name}", Guard())))


def _failure(status: str) -> str:
    return f"{status}, a failure" if not status.startswith("2") else status


def _went(what: str, path: str, expected: str) -> Case:
    return Case(48, what, expected, lambda network: download(network, SITE + path, Guard()))


def _engine(network: Network) -> str:
    """The operator's own engine sends us on, and we do not go."""
    server = f"{SITE}/engine"
    abilities = Abilities("openai", "m", frozenset({"en"}), frozenset({"transcribe"}), max_window_s=30.0)

    async def hear(client: httpx2.AsyncClient) -> str:
        engine = OpenAiEngine(server, "sk-right", "m", abilities, lambda: client)
        await engine.start()
        try:
            await engine.transcribe([np.zeros(16_000, np.float32)], EngineOptions(), "now")
        finally:
            await engine.stop()
        return "heard"

    return asyncio.run(hear(trusted_client([server], verify=network.trust)))


CASES = [
    *(_led(name, location) for name, location in LEADS.items() if name != "turned"),
    *(_called(name, LEADS[name]) for name in ("metadata", "loopback", "private", "file", "other")),
    _went("5 hops", "/hops/5", "recording"),
    _went("6 hops", "/hops/6", "too_many_redirects"),
    _went("21 hops", "/hops/21", "too_many_redirects"),
    _went("an address that redirects to itself", "/loop", "too_many_redirects"),
    _went("two addresses that redirect to each other", "/ping", "too_many_redirects"),
    _went("a feed whose recording is at 169.254.169.254", "/feed", "forbidden_address"),
    _went("a feed whose recording is redirected to 127.0.0.1", "/feed-moved", "forbidden_address"),
    _went("a page whose feed is at 10.0.0.1", "/page", "forbidden_address"),
    Case(48, "an engine's server that redirects to 169.254.169.254", "engine_rejected", _engine),
]


@pytest.mark.parametrize(("name", "expected"), parameters(CASES))
def test_a_server_leads_nobody_inside(name: str, expected: str, inside: Outcomes, seen) -> None:
    seen(inside[name].saw)
    assert inside[name].saw == expected
    assert inside[name].met
    assert not inside[name].astray
