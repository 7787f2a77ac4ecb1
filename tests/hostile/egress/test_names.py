"""Does a name lead only where all of its addresses may be reached, whatever its server says and when?"""

from __future__ import annotations

import pytest

from tests.hostile.egress.network import Network
from tests.hostile.egress.table import Case, Outcomes, agreed, parameters, said
from tests.hostile.egress.ways import download, tunnel, webhook
from tiro.adapters.egress.guard import Guard

INNER = {
    "half.world.example": "one public address, one private",
    "half6.world.example": "one public IPv4 address, one private IPv6 address",
    "late.world.example": "twenty public addresses, the last one private",
    "loop.world.example": "127.0.0.1",
    "zero.world.example": "0.0.0.0",
    "cloud.world.example": "169.254.169.254",
    "nat.world.example": "100.64.0.1",
    "mapped.world.example": "::ffff:127.0.0.1",
    "nat64.world.example": "64:ff9b::7f00:1",
    "sixtofour.world.example": "2002:7f00:1::",
    "local6.world.example": "fe80::1",
    "unique6.world.example": "fd00:ec2::254",
    "self.world.example": "a public address of this machine",
    "127.0.0.1.world.example": "an address in its own name",
    "hop0-in.world.example": "a private address, ten aliases away",
    "metadata": "a name of the search domain, at 169.254.169.254",
}
LOST = {
    "nobody.world.example": "unknown_host",
    "empty.world.example": "unknown_host",
    "a" * 64 + ".example": "unknown_host",
    ".".join(["a" * 49] * 5) + ".a.b": "unknown_host",
    ".".join(["a" * 50] * 5): "malformed_url",
    "failing.example": "source_unreachable",
    "ring.world.example": "source_unreachable",
}
FOUND = ("site.world.example", "both.world.example", "hop0-out.world.example")


def _inner(host: str, what: str) -> Case:
    def act(network: Network) -> str:
        url, guard = f"https://{host}/", Guard()
        words = {
            "submitted": said(lambda: _checked(guard, url)),
            "downloaded": said(lambda: download(network, url, guard)),
            "called": said(lambda: webhook(network, url, guard)),
            "tunnelled": said(lambda: tunnel(host, guard)),
        }
        return agreed(words)

    return Case(47, f"a name for {what}", "forbidden_address", act)


def _plain(host: str, expected: str) -> Case:
    what = host if len(host) < 50 else f"a name of {len(host)} characters"
    return Case(47, what, expected, lambda network: download(network, f"https://{host}/sound", Guard()))


def _checked(guard: Guard, url: str) -> str:
    guard.check(url, resolve_s=20)
    return "accepted"


def _rebinding(network: Network) -> str:
    guard, url = Guard(), "https://rebinding.world.example/sound"
    return f"{_checked(guard, url)}, {said(lambda: download(network, url, guard))}"


def _rebinding_hook(network: Network) -> str:
    guard, url = Guard(), "https://called.world.example/"
    return f"{_checked(guard, url)}, {webhook(network, url, guard)}"


def _between_downloads(network: Network) -> str:
    guard, url = Guard(), "https://seen.world.example/sound"
    return f"{download(network, url, guard)}, {said(lambda: download(network, url, guard))}"


def _between_hops(network: Network) -> str:
    return download(network, "https://turned.world.example/to/turned", Guard())


CASES = [
    *(_inner(host, what) for host, what in INNER.items()),
    *(_plain(host, expected) for host, expected in LOST.items()),
    *(_plain(host, "recording") for host in FOUND),
    Case(47, "public at submit, 127.0.0.1 when downloaded", "accepted, forbidden_address", _rebinding),
    Case(47, "public at submit, 10.0.0.1 when called", "accepted, forbidden_address", _rebinding_hook),
    Case(47, "public in one download, 127.0.0.1 in the next", "recording, forbidden_address", _between_downloads),
    Case(47, "public at first, 169.254.169.254 after a redirect to itself", "forbidden_address", _between_hops),
]


@pytest.mark.parametrize(("name", "expected"), parameters(CASES))
def test_a_name_leads_nowhere_inside(name: str, expected: str, inside: Outcomes, seen) -> None:
    seen(inside[name].saw)
    assert inside[name].saw == expected
    assert not inside[name].astray
