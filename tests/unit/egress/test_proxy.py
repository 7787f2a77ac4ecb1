"""Does the filtering proxy pass what the guard passes, and nothing else, to nobody else?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from yt_dlp import YoutubeDL

from tests.servers.scripted_http import certificate
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.proxy import FilteringProxy

QUOTA_BYTES = 1_000_000


@pytest.fixture
def proxy(guard: Guard) -> Iterator[FilteringProxy]:
    with FilteringProxy(guard, Patience(60), QUOTA_BYTES) as running:
        yield running


def said(proxy: FilteringProxy, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        client.sendall(request)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return answer


def signed(proxy: FilteringProxy, line: bytes) -> bytes:
    return (
        line
        + b"\r\nProxy-Authorization: "
        + httpx2.BasicAuth("tiro", proxy.credential)._auth_header.encode()
        + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    "header", [b"", b"Proxy-Authorization: Basic dGlybzp3cm9uZw==\r\n", b"Authorization: Basic x\r\n"]
)
def test_nobody_passes_without_the_credential(proxy, serve, header: bytes) -> None:
    server = serve({"/": lambda visit: visit.answer()})
    for target in (b"CONNECT 127.0.0.1:%d", b"GET http://127.0.0.1:%d/"):
        answer = said(proxy, target % server.port + b" HTTP/1.1\r\n" + header + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 407")
    assert not server.visits


def test_a_plain_request_is_passed_on_without_the_credential(proxy, serve) -> None:
    server = serve({"/a": lambda visit: visit.answer(body=b"yes")})
    with httpx2.Client(proxy=proxy.url, trust_env=False) as client:
        assert client.get(server.url("/a?b=c")).content == b"yes"
    visit = server.visits[0]
    assert (visit.path, visit.headers["host"]) == ("/a?b=c", f"127.0.0.1:{server.port}")
    assert "proxy-authorization" not in visit.headers


def test_tls_goes_through_from_end_to_end(proxy, serve, tmp_path: Path) -> None:
    tls, trust = certificate(tmp_path, "127.0.0.1")
    server = serve({"/": lambda visit: visit.answer(body=b"yes")}, tls=tls)
    with httpx2.Client(proxy=proxy.url, trust_env=False, verify=trust) as client:
        assert client.get(server.url()).content == b"yes"


def test_yt_dlp_speaks_with_it_also_for_https(proxy, serve, tmp_path: Path) -> None:
    tls, _ = certificate(tmp_path, "127.0.0.1")
    server = serve({"/": lambda visit: visit.answer(body=b"yes")}, tls=tls)
    options = {"proxy": proxy.url, "nocheckcertificate": True, "quiet": True}
    with YoutubeDL(options, auto_init=False) as dlp, dlp.urlopen(server.url()) as answer:
        assert answer.read() == b"yes"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"CONNECT 169.254.169.254:80 HTTP/1.1", "forbidden_address"),
        (b"CONNECT [::1]:443 HTTP/1.1", "forbidden_address"),
        (b"CONNECT 0x0a000001:443 HTTP/1.1", "forbidden_address"),
        (b"CONNECT inside.example:443 HTTP/1.1", "forbidden_address"),
        (b"CONNECT user@8.8.8.8:443 HTTP/1.1", "credentials"),
        (b"GET http://8.8.8.8/ HTTP/1.1", "scheme"),
        (b"GET http://10.0.0.1/ HTTP/1.1", "forbidden_address"),
        (b"GET https://10.0.0.1/ HTTP/1.1", "forbidden_address"),
        (b"GET ftp://127.0.0.1/ HTTP/1.1", "scheme"),
        (b"GET / HTTP/1.1", "scheme"),
    ],
)
def test_what_the_guard_refuses_is_forbidden_and_remembered(line: bytes, reason: str) -> None:
    guard = Guard(["127.0.0.0/8"], resolver=lambda host, port: ["10.0.0.1"])
    with FilteringProxy(guard, Patience(60), QUOTA_BYTES) as proxy:
        assert said(proxy, signed(proxy, line)).startswith(b"HTTP/1.1 403")
        assert proxy.refused == reason


def test_a_dead_target_is_a_bad_gateway(proxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert said(proxy, signed(proxy, b"CONNECT 127.0.0.1:%d HTTP/1.1" % port)).startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize(
    "junk", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"A B C D\r\n\r\n", b"CONNECT \xff:1 HTTP/1.1\r\n\r\n"]
)
def test_junk_is_hung_up_on_and_the_next_is_served(proxy, serve, junk: bytes) -> None:
    server = serve({"/": lambda visit: visit.answer(body=b"yes")})
    assert b"200" not in said(proxy, junk)
    with httpx2.Client(proxy=proxy.url, trust_env=False) as client:
        assert client.get(server.url()).content == b"yes"


def test_more_than_the_quota_does_not_come_back(proxy, serve) -> None:
    server = serve({"/": lambda visit: visit.answer(body=b"x" * (QUOTA_BYTES * 4))})
    with httpx2.Client(proxy=proxy.url, trust_env=False) as client, pytest.raises(httpx2.RemoteProtocolError):
        client.get(server.url())
    assert proxy.overrun
