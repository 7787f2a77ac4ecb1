"""Is no closed address connected to, however it is spelled, by whichever way?"""

from __future__ import annotations

import pytest

from tests.hostile.egress.network import OURS, Network
from tests.hostile.egress.table import Case, Outcomes, parameters
from tests.hostile.egress.ways import all_ways, download, reading_ways
from tiro.adapters.egress.guard import Guard

SPELLINGS = """
127.0.0.1 127.1 127.0.1 127.255.255.254 127.0.0.1. 0 0.0.0.0 2130706433 017700000001 0x7f000001 0x7F.0.0.1 0x7f.1 0177.0.0.1
00000177.0.0.1 127.0.0.0x1 0x00000000007f000001
[::1] [0:0:0:0:0:0:0:1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:0:127.0.0.1] [::FFFF:10.0.0.1]
[64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::] [2001:0:4136:e378:8000:63bf:80ff:fffe]
[fe80::1%25lo] [fe80::1%lo] [fe80::1] [fec0::1] [fd00:ec2::254] [fc00::1] [ff02::1] [100::1] [5f00::1] [2001:db8::1]
169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 0xA9.0xFE.0xA9.0xFE [::ffff:169.254.169.254]
100.64.0.1 100.100.100.200 100.127.255.254 10.0.0.1 10.1 10.255.255.255 0x0a000001 172.16.0.1 172.31.255.255 192.168.0.1 192.168.257
168.63.129.16 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
localhost LOCALHOST localhost. a.localhost ｌｏｃａｌｈｏｓｔ
127。0。0。1 127．0．0．1 127｡0｡0｡1 １２７.０.０.１ ①②⑦.⓪.⓪.① 169。254。169。254 1\u00ad27.0.0.1 127\u200b.0.0.1 loc\u00adalhost
""".split()
NO_ADDRESSES = (
    "256.1.1.1 127.0.0.1.5 4294967296 0x100000000 0x 0x7f000001.1 09.0.0.1 [::1 [::g] 127..1 %31%32%37.0.0.1".split()
)
INNER = [
    "127.0.0.1",
    "127.1.2.3",
    "[::1]",
    "169.254.169.254",
    "10.1.2.3",
    "100.64.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "[fd00:ec2::254]",
]


def _closed(host: str) -> Case:
    return Case(46, f"https://{host}/", "forbidden_address", lambda network: all_ways(network, host))


def _nonsense(host: str) -> Case:
    return Case(46, f"https://{host}/", "malformed_url", lambda network: reading_ways(network, host))


def _opened(host: str) -> Case:
    everything = Guard(["0.0.0.0/0", "::/0"])
    what = f"a guard that allows everything, and {host}"
    return Case(46, what, "secret", lambda network: download(network, f"http://{host}/", everything))


def _ourselves(network: Network) -> str:
    return download(network, "https://site.world.example/sound", Guard(ours="https://site.world.example"))


CASES = [
    *map(_closed, SPELLINGS),
    *map(_nonsense, NO_ADDRESSES),
    Case(46, "a public address of this machine", "forbidden_address", lambda network: all_ways(network, OURS)),
    Case(46, "our own public name and port", "forbidden_address", _ourselves),
]
TRAPS = [_opened(host) for host in INNER]


@pytest.mark.parametrize(("name", "expected"), parameters(CASES))
def test_a_closed_address_is_refused_and_never_met(name: str, expected: str, inside: Outcomes, seen) -> None:
    seen(inside[name].saw)
    assert inside[name].saw == expected
    assert not inside[name].met


@pytest.mark.parametrize(("name", "expected"), parameters(TRAPS))
def test_the_inner_servers_are_there_to_be_met(name: str, expected: str, inside: Outcomes, seen) -> None:
    """Else the tests above would prove nothing."""
    seen(inside[name].saw)
    assert inside[name].saw == expected
    assert [address for address, _ in inside[name].met] == [name.rpartition(" ")[2].strip("[]")]
