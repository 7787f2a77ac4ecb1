"""Which addresses may be reached?"""

from __future__ import annotations

import ipaddress
import socket
import threading

import httpx2
import pytest

from tests.servers.scripted_http import certificate
from tiro.adapters.egress.addresses import is_of_this_machine, is_public
from tiro.adapters.egress.clients import guarded_async_client, guarded_client, trusted_client
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import Patience
from tiro.model.errors import SourceRefused, Transient

CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.255.255.255 168.63.129.16
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1
192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
2001::1 2001:2::1 2001:10::1 2001:db8::1 2002:7f00:1:: 2620:4f:8000::1 3ffe::1 3fff::1 5f00::1 4000::1
fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1 ff0e::1
""".split()
OPEN = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.1
191.255.255.255 192.0.1.1 192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 203.0.114.1 223.255.255.255
2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450::1
""".split()
SPELLINGS_OF_LOOPBACK = """
127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 0x7F.0.0.1 2130706433 017700000001 0177.0.0.1 0177.0.0.01 127.0.0.1. 0 0.0.0.0
１２７.０.０.１ 127。0。0。1 127．0．0．1 127｡0｡0｡1 ⑫7.0.0.1 ①②⑦.⓪.⓪.①
[::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::]
169.254.169.254 0xa9fea9fe 2852039166 0251.0376.0251.0376 [fd00:ec2::254] 10.1 192.168.257
""".split()
LOCAL_NAMES = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "ｌｏｃａｌｈｏｓｔ"]


def reason_of(call, *args: object) -> str:
    with pytest.raises(SourceRefused) as refused:
        call(*args)
    assert refused.value.code == "source_unavailable"
    return refused.value.reason


@pytest.mark.parametrize("text", CLOSED)
def test_an_address_with_a_special_purpose_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OPEN)
def test_an_address_of_the_world_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", [*SPELLINGS_OF_LOOPBACK, *LOCAL_NAMES])
def test_every_spelling_of_a_closed_address_is_refused_without_asking_anyone(host: str) -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    assert reason_of(Guard(resolver=nobody).check, f"https://{host}/x") == "forbidden_address"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://example.com/", "scheme"),
        ("data:text/plain,x", "scheme"),
        ("javascript:alert(1)", "scheme"),
        ("example.com/x", "scheme"),
        ("//example.com/x", "scheme"),
        ("", "scheme"),
        ("https://", "malformed_url"),
        ("https:///x", "malformed_url"),
        ("https://user:pass@example.com/", "credentials"),
        ("https://user@example.com/", "credentials"),
        ("https://@example.com/", "credentials"),
        ("https://example.com@127.0.0.1/", "credentials"),
        ("https://127.0.0.1\\@example.com/", "malformed_url"),
        ("https://exa mple.com/", "malformed_url"),
        ("https://example.com/\r\nHost: x", "malformed_url"),
        ("https://exam\tple.com/", "malformed_url"),
        (" https://example.com/", "malformed_url"),
        ("https://example.com/\u2028", "malformed_url"),
        ("https://127%2e0.0.1/", "malformed_url"),
        ("https://example.com:0/", "malformed_url"),
        ("https://example.com:99999/", "malformed_url"),
        ("https://example.com:x/", "malformed_url"),
        ("https://[::1", "malformed_url"),
        ("https://[fe80::1%25lo]/", "forbidden_address"),
        ("https://1.2.3.4.5/", "malformed_url"),
        ("https://256.256.256.256/", "malformed_url"),
        ("https://0x/", "malformed_url"),
        ("https://a..b/", "malformed_url"),
        ("https://" + "a" * 254 + "/", "malformed_url"),
        ("https://example.com/" + "a" * 8192, "url_too_long"),
    ],
)
def test_a_url_that_cannot_be_meant_well_is_refused(url: str, reason: str) -> None:
    assert reason_of(Guard().parse, url) == reason


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://EXAMPLE.com./a?b=c#d", "https://example.com/a?b=c"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:8443/x%2Fy?sig=a%2Bb", "https://example.com:8443/x%2Fy?sig=a%2Bb"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://example。com/", "https://example.com/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://a_b.example.com/", "https://a_b.example.com/"),
        ("https://example.com/@x?y=@z", "https://example.com/@x?y=@z"),
    ],
)
def test_what_is_checked_is_what_is_used(url: str, canonical: str) -> None:
    assert str(Guard().parse(url)) == canonical


def resolve(guard: Guard, host: str = "a.example", *, plain: bool = False) -> list[str]:
    return [str(address) for address in guard.resolve(host, 443, Patience(5), plain=plain)]


def test_a_name_passes_when_all_its_addresses_do() -> None:
    guard = Guard(resolver=lambda host, port: ["8.8.8.8", "2606:4700::1111"])
    assert resolve(guard) == ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("closed", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "fe80::1%lo"])
def test_one_closed_address_among_open_ones_refuses_the_name(closed: str) -> None:
    guard = Guard(resolver=lambda host, port: ["8.8.8.8", closed])
    assert reason_of(resolve, guard) == "forbidden_address"


@pytest.mark.promise("J36")
def test_an_allowed_network_is_reached_also_in_plain_http() -> None:
    guard = Guard(["10.1.0.0/16"], resolver=lambda host, port: ["10.1.2.3"])
    assert resolve(guard, plain=True) == ["10.1.2.3"]
    guard.check("http://inside.example/hook")
    guard.check("https://10.1.9.9/hook")
    assert reason_of(guard.check, "https://10.2.0.1/") == "forbidden_address"


@pytest.mark.promise("J36")
def test_plain_http_to_the_public_is_refused_even_when_something_is_allowed() -> None:
    guard = Guard(["10.1.0.0/16"], resolver=lambda host, port: ["8.8.8.8"])
    assert reason_of(guard.check, "http://outside.example/") == "scheme"
    assert reason_of(guard.check, "http://8.8.8.8/") == "scheme"


def test_checking_does_not_ask_the_resolver_unless_told_to() -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    guard = Guard(resolver=resolver)
    guard.check("https://a.example/")
    assert not asked
    assert reason_of(lambda: guard.check("https://a.example/", resolve_s=2)) == "forbidden_address"


@pytest.mark.parametrize("errno", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_name_nobody_can_resolve_now_is_not_refused_for_it(errno: int) -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(errno, "no")

    Guard(resolver=resolver).check("https://a.example/", resolve_s=2)
    assert reason_of(lambda: Guard(["10.0.0.0/8"], resolver).check("http://a.example/")) in {"scheme", "unknown_host"}


def test_a_resolver_that_hangs_is_left_behind() -> None:
    gate = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        gate.wait(30)
        return []

    guard = Guard(resolver=resolver)
    with pytest.raises(Transient, match="too long"):
        guard.resolve("a.example", 443, Patience(0.2), plain=False)
    gate.set()


class Rebinding:
    """Public when first asked, 127.0.0.1 ever after."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return ["8.8.8.8"] if self.asked == 1 else ["127.0.0.1"]


def test_a_name_that_turns_private_after_the_check_is_refused_at_connect(serve) -> None:
    server = serve({"/": lambda visit: visit.answer(body=b"secret")})
    guard = Guard(resolver=Rebinding())
    url = f"https://rebinding.example:{server.port}/"
    guard.check(url, resolve_s=2)
    with guarded_client(guard) as client:
        assert reason_of(client.get, url) == "forbidden_address"
    assert not server.visits


async def test_the_async_client_checks_at_connect_too(serve) -> None:
    server = serve({"/": lambda visit: visit.answer(body=b"secret")})
    guard = Guard(resolver=Rebinding())
    url = f"https://rebinding.example:{server.port}/"
    guard.check(url, resolve_s=2)
    async with guarded_async_client(guard) as client:
        with pytest.raises(SourceRefused, match="forbidden_address"):
            await client.get(url)
    assert not server.visits


def test_the_name_is_resolved_once_and_that_answer_is_connected_to(serve) -> None:
    """The second answer would be refused: it is never asked for."""
    server = serve({"/": lambda visit: visit.answer(body=b"yes")})
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    guard = Guard(["127.0.0.0/8"], resolver=lambda host, port: next(answers))
    with guarded_client(guard) as client:
        answer = client.get(f"http://named.example:{server.port}/")
    assert answer.content == b"yes"
    assert server.visits[0].headers["host"] == f"named.example:{server.port}"


def test_a_followed_redirect_is_checked_as_well(serve) -> None:
    server = serve({"/": lambda visit: visit.answer(302, headers={"Location": "https://169.254.169.254/"})})
    with guarded_client(Guard(["127.0.0.0/8"])) as client:
        assert reason_of(lambda: client.get(server.url(), follow_redirects=True)) == "forbidden_address"


async def test_the_environments_proxies_are_ignored(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve({"/": lambda visit: visit.answer(body=b"proxy")})
    server = serve({"/": lambda visit: visit.answer(body=b"direct")})
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url())
    with guarded_client(Guard(["127.0.0.0/8"])) as client:
        assert client.get(server.url()).content == b"direct"
    async with trusted_client([server.url()]) as client:
        assert (await client.get(server.url())).content == b"direct"


async def test_an_operators_own_server_may_be_private(serve) -> None:
    server = serve({"/v1/x": lambda visit: visit.answer(body=b"engine")})
    async with trusted_client([server.url("/v1")]) as client:
        assert (await client.get(server.url("/v1/x"))).content == b"engine"
    with guarded_client(Guard()) as client:
        assert reason_of(client.get, server.url()) == "scheme"


@pytest.mark.parametrize("follow", [False, True])
async def test_trust_in_a_server_ends_where_it_sends_us_on(serve, follow: bool) -> None:
    inside = serve({"/": lambda visit: visit.answer(body=b"secret")})
    server = serve({"/": lambda visit: visit.answer(307, headers={"Location": inside.url()})})
    async with trusted_client([server.url("/v1")]) as client:
        if follow:
            with pytest.raises(SourceRefused, match="forbidden_address"):
                await client.get(server.url(), follow_redirects=True)
        else:
            assert (await client.get(server.url())).status_code == 307
    assert not inside.visits


def test_where_we_are_known_to_the_world_is_refused_even_in_an_allowed_network() -> None:
    guard = Guard(["127.0.0.0/8"], lambda host, port: ["127.0.0.1"], ours="https://Tiro.example./")
    assert reason_of(guard.check, "https://tiro.example/jobs") == "forbidden_address"
    assert reason_of(guard.check, "https://tiro.example:443") == "forbidden_address"
    guard.check("https://tiro.example:8443/")
    guard.check("https://other.example/")


def test_this_machines_own_address_is_told_from_others() -> None:
    assert is_of_this_machine(ipaddress.ip_address("127.0.0.1"))
    assert not is_of_this_machine(ipaddress.ip_address("8.8.8.8"))


def test_no_url_reaches_the_log(serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve({"/": lambda visit: visit.answer()})
    with caplog.at_level("DEBUG"), guarded_client(Guard(["127.0.0.0/8"])) as client:
        client.get(server.url("/?signature=canary"))
    assert "canary" not in caplog.text


def test_the_certificate_must_be_for_the_name_that_was_asked_for(serve, tmp_path) -> None:
    tls, trust = certificate(tmp_path, "right.example")
    server = serve({"/": lambda visit: visit.answer(body=b"yes")}, tls=tls)
    guard = Guard(["127.0.0.0/8"], resolver=lambda host, port: ["127.0.0.1"])
    with guarded_client(guard, verify=trust) as client:
        assert client.get(server.url(host="right.example")).content == b"yes"
        with pytest.raises(httpx2.ConnectError):
            client.get(server.url(host="wrong.example"))
