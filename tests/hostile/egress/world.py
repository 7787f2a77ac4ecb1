"""Who lives in the attacker's world? Names that lie, and a site whose pages lead astray."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tests.hostile.egress.names import Records
from tests.servers.scripted_http import Script, Visit
from tests.stubs.local_site import DEEDS, PAGES

SITE = "https://site.world.example"
PLAIN_SITE = "198.51.100.7"
"""A server in a network that the operator allows for some cases: it speaks plain http."""


def zone() -> dict[str, Records | Callable[[], Records]]:
    """What the attacker's names stand for."""
    hops = {
        f"hop{n}-{kind}.world.example": [f"hop{n + 1}-{kind}.world.example"]
        for n in range(10)
        for kind in ("out", "in")
    }
    return {
        "site.world.example": ["9.9.9.9"],
        "both.world.example": ["2606:4700::1111", "9.9.9.9"],
        "other.world.example": ["9.9.9.8"],
        "half.world.example": ["9.9.9.9", "10.0.0.1"],
        "half6.world.example": ["9.9.9.9", "::1"],
        "late.world.example": [*(f"9.9.9.{n}" for n in range(11, 31)), "127.0.0.1"],
        "loop.world.example": ["127.0.0.1"],
        "zero.world.example": ["0.0.0.0"],
        "cloud.world.example": ["169.254.169.254"],
        "nat.world.example": ["100.64.0.1"],
        "mapped.world.example": ["::ffff:127.0.0.1"],
        "nat64.world.example": ["64:ff9b::7f00:1"],
        "sixtofour.world.example": ["2002:7f00:1::"],
        "local6.world.example": ["fe80::1"],
        "unique6.world.example": ["fd00:ec2::254"],
        "self.world.example": ["9.9.9.10"],
        "127.0.0.1.world.example": ["127.0.0.1"],
        **hops,
        "hop10-out.world.example": ["9.9.9.9"],
        "hop10-in.world.example": ["10.0.0.1"],
        "ring.world.example": ["ring.world.example"],
        "empty.world.example": [],
        "rebinding.world.example": _turning(["9.9.9.9"], ["127.0.0.1"]),
        "called.world.example": _turning(["9.9.9.9"], ["10.0.0.1"]),
        "turned.world.example": _turning(["9.9.9.9"], ["169.254.169.254"]),
        "seen.world.example": _turning(["9.9.9.9"], ["127.0.0.1"]),
        "metadata.inside.example": ["169.254.169.254"],
        "a.localhost": ["127.0.0.1"],
        "named.example": [PLAIN_SITE],
    }


def _turning(first: Records, then: Records) -> Callable[[], Records]:
    """One answer to the first question, another ever after."""
    asked = count()
    return lambda: first if next(asked) == 0 else then


def _to(location: str, status: int = 302) -> Script:
    return lambda visit: visit.answer(status, headers={"Location": location})


def _feed(enclosure: str) -> bytes:
    return f'<rss><channel><item><enclosure url="{enclosure}" type="audio/mpeg"/></item></channel></rss>'.encode()


_PAGE = b'<html><head><link rel="alternate" type="application/rss+xml" href="https://10.0.0.1/feed"></head></html>'
_KEY = b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://169.254.169.254/key"\n'
_PIECES = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"


def _longer(visit: Visit) -> None:
    """One step further each time; the path counts them."""
    step = int(visit.path.rpartition("/")[2])
    if step:
        visit.answer(302, headers={"Location": f"/hops/{step - 1}"})
    else:
        visit.answer(body=SOUND)


SOUND = bytes(range(256)) * 40
LEADS = {
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata-tls": "https://169.254.169.254/latest/meta-data/",
    "loopback": "https://127.0.0.1/",
    "loopback6": "https://[::1]/",
    "mapped": "https://[::ffff:127.0.0.1]/",
    "octal": "https://0177.0.0.1/",
    "decimal": "https://2130706433/",
    "nat64": "https://[64:ff9b::7f00:1]/",
    "private": "//10.0.0.1/",
    "scoped": "https://[fe80::1%25lo]/",
    "name": "https://loop.world.example/",
    "half": "https://half.world.example/",
    "dots": "https://127\u30020\u30020\u30021/",
    "ourselves": "https://9.9.9.10/",
    "file": "file:///etc/passwd",
    "ftp": "ftp://site.world.example/",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "data": "data:audio/mpeg;base64,AAAA",
    "script": "javascript:alert(1)",
    "plain": "http://site.world.example/back",
    "password": "https://user:pass@other.world.example/",
    "nowhere": "https://",
    "turned": "https://turned.world.example/sound",
    "long": "https://other.world.example/" + "a" * 10_000,
    "other": "https://other.world.example/sound",
}
SCRIPTS: dict[str, Script] = {
    "/sound": lambda visit: visit.answer(body=SOUND),
    "/back": _to("https://site.world.example/sound"),
    "/loop": _to("/loop"),
    "/ping": _to("/pong"),
    "/pong": _to("/ping"),
    "/feed": lambda visit: visit.answer(body=_feed("http://169.254.169.254/a.mp3")),
    "/feed-moved": lambda visit: visit.answer(body=_feed("https://site.world.example/to/loopback")),
    "/page": lambda visit: visit.answer(body=_PAGE, headers={"Content-Type": "text/html"}),
    **{f"/hops/{n}": _longer for n in range(30)},
    **{f"/to/{name}": _to(location) for name, location in LEADS.items()},
    **{f"/watch/{name}": lambda visit: visit.answer(body=b"<html>a page</html>") for name in (*PAGES, *DEEDS)},
    "/watch/moved": _to("http://169.254.169.254/latest/meta-data/"),
    "/media/best": lambda visit: visit.answer(body=SOUND),
    "/media/redirect": _to("http://127.0.0.1/"),
    "/media/big": lambda visit: visit.answer(body=b"x" * 1_000_001),
    "/media/inner.m3u8": lambda visit: visit.answer(body=_PIECES % b"http://10.0.0.1/piece"),
    "/media/locked.m3u8": lambda visit: visit.answer(body=_KEY + _PIECES % b"/sound"),
    "/engine/audio/transcriptions": _to("http://169.254.169.254/latest/meta-data/", 307),
}
