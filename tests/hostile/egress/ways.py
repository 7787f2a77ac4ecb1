"""Which ways lead out of the house? Each is tried with an address, as its owner does it, and says what came of it in a word."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from pathlib import Path

from tests.hostile.egress.network import SECRET, Network
from tests.hostile.egress.table import agreed, said
from tiro.adapters.egress.courier import WebCourier
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.http import HttpSource, Pace
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.proxy import FilteringProxy
from tiro.adapters.egress.sites import Sites
from tiro.adapters.fakes import SetClock
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.media import MediaLimits

QUICK = Pace(connect_s=4.0, idle_s=4.0, min_bytes_s=100.0, window_s=0.5)
LIMITS = MediaLimits(max_duration_s=36_000, max_bytes=1_000_000)
ELSEWHERE = "203.0.113.0/24"
"""A network that the operator allowed, so that plain http is looked at too."""


def download(network: Network, url: str, guard: Guard, sites: Sites | None = None) -> str:
    """A source's bytes; "recording" when there are some, and "secret" when they are what nobody may see."""
    blobs = MemoryBlobs(SetClock())
    fetcher = WebFetcher(guard, sites, HttpSource(guard, QUICK, network.trust), deadline_s=60)
    fetcher.fetch(url, LIMITS, lambda _: blobs.writer("source"), threading.Event())
    return "secret" if SECRET in blobs.get("source") else "recording"


def webhook(network: Network, url: str, guard: Guard) -> str:
    """One attempt of a delivery: the status, or the code of what went wrong."""
    answer = asyncio.run(WebCourier(guard, network.trust).post(url, {}, b"{}", 10))
    return answer.error or str(answer.status)


def tunnel(host: str, guard: Guard, *, plain: bool = False) -> str:
    """As yt-dlp asks its proxy for a connection."""
    line = f"GET http://{host}/ HTTP/1.1" if plain else f"CONNECT {host}:443 HTTP/1.1"
    with FilteringProxy(guard, Patience(20), 10**6) as proxy:
        key = base64.b64encode(f"tiro:{proxy.credential}".encode()).decode()
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
            client.sendall(f"{line}\r\nProxy-Authorization: Basic {key}\r\n\r\n".encode())
            answer = client.recv(65536)
        return proxy.refused or (answer.split(b" ")[1].decode() if answer else "hung up")


def all_ways(network: Network, host: str) -> str:
    """The word that all of them agree on: at submit, downloading, calling, and for yt-dlp; in TLS and in plain."""
    narrow, wide = Guard(), Guard([ELSEWHERE])
    words = {
        "called": said(lambda: webhook(network, f"https://{host}/", narrow)),
        "called in plain": said(lambda: webhook(network, f"http://{host}/", wide)),
    }
    return agreed({"read": reading_ways(network, host), **words})


def reading_ways(network: Network, host: str) -> str:
    """All but webhooks, whose log has one word for every URL that may not be called."""
    narrow, wide = Guard(), Guard([ELSEWHERE])
    secure, plain = f"https://{host}/", f"http://{host}/"
    words = {
        "submitted": said(lambda: _checked(secure, narrow)),
        "downloaded": said(lambda: download(network, secure, narrow)),
        "downloaded in plain": said(lambda: download(network, plain, wide)),
    }
    if host.isascii():
        words["tunnelled"] = said(lambda: tunnel(host, narrow))
        words["tunnelled in plain"] = said(lambda: tunnel(host, wide, plain=True))
    return agreed(words)


def _checked(url: str, guard: Guard) -> str:
    guard.check(url, resolve_s=20)
    return "accepted"


def sites(guard: Guard, scratch: Path) -> Sites:
    """yt-dlp with the site of ours."""
    return Sites(guard, scratch, ("tests.stubs.local_site:LocalSiteIE",))
