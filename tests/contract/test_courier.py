"""The Courier port, over its adapter and real servers: one attempt is one answer or one code, in time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.scripted_http import ScriptedHttp, Visit, certificate
from tiro.adapters.egress.courier import MAX_PER_HOST, WebCourier
from tiro.adapters.egress.guard import Guard
from tiro.model.errors import SourceRefused
from tiro.ports import Answer, Courier

BODY = b'{"event":"job.completed"}'
HEADERS = {"Content-Type": "application/json", "X-Signature": "abc", "User-Agent": "not ours"}


@pytest.fixture
def courier() -> Courier:
    return WebCourier(Guard(["127.0.0.0/8"]))


@pytest.fixture
def receiver() -> Iterator[ScriptedHttp]:
    with ScriptedHttp({}) as server:
        yield server


async def post(courier: Courier, url: str, timeout_s: float = 5) -> Answer:
    return await courier.post(url, HEADERS, BODY, timeout_s)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 404, 410, 429, 500, 503])
async def test_any_status_is_an_answer(courier: Courier, receiver: ScriptedHttp, status: int) -> None:
    receiver.scripts["/"] = lambda visit: visit.answer(status)
    answer = await post(courier, receiver.url())
    assert (answer.status, answer.error) == (status, None)
    assert 0 <= answer.took_ms < 5000


@pytest.mark.promise("J35")
async def test_the_bytes_and_headers_arrive_as_given(courier: Courier, receiver: ScriptedHttp) -> None:
    receiver.scripts["/hook"] = lambda visit: visit.answer()
    await post(courier, receiver.url("/hook?a=b%2Fc"))
    visit = receiver.visits[0]
    assert (visit.method, visit.path, visit.body) == ("POST", "/hook?a=b%2Fc", BODY)
    assert (visit.headers["x-signature"], visit.headers["content-type"]) == ("abc", "application/json")
    assert visit.headers["user-agent"] == "Tiro"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.promise("J35")
async def test_a_redirect_is_not_followed(courier: Courier, receiver: ScriptedHttp, status: int) -> None:
    receiver.scripts["/"] = lambda visit: visit.answer(status, headers={"Location": "/other"})
    assert (await post(courier, receiver.url())).status == status
    assert [visit.path for visit in receiver.visits] == ["/"]


async def test_a_huge_answer_is_not_read(courier: Courier, receiver: ScriptedHttp) -> None:
    sent = 0

    def flood(visit: Visit) -> None:
        nonlocal sent
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            visit.send(b"x" * 65536)
            sent += 65536

    receiver.scripts["/"] = flood
    assert (await post(courier, receiver.url())).status == 200
    assert sent < 50_000_000


async def test_a_status_stands_though_the_body_never_ends(courier: Courier, receiver: ScriptedHttp) -> None:
    def drip(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 202 OK\r\nContent-Length: 1000\r\n\r\n")
        visit.drip(b"x", 0.05)

    receiver.scripts["/"] = drip
    assert (await post(courier, receiver.url(), timeout_s=0.5)).status == 202


async def test_a_status_stands_though_the_connection_then_breaks(courier: Courier, receiver: ScriptedHttp) -> None:
    def torn(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab")
        visit.reset()

    receiver.scripts["/"] = torn
    assert (await post(courier, receiver.url())).status == 200


@pytest.mark.parametrize("what", ["silence", "headers"])
@pytest.mark.promise("J35")
async def test_the_timeout_is_for_the_whole_attempt(courier: Courier, receiver: ScriptedHttp, what: str) -> None:
    def slow(visit: Visit) -> None:
        if what == "headers":
            visit.drip(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, 0.02)
        visit.ended.wait(20)

    receiver.scripts["/"] = slow
    began = time.monotonic()
    answer = await post(courier, receiver.url(), timeout_s=0.4)
    assert (answer.status, answer.error) == (None, "timeout")
    assert 400 <= answer.took_ms < 5000
    assert time.monotonic() - began < 5


async def test_a_resolver_that_hangs_is_a_timeout() -> None:
    gate = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        gate.wait(20)
        return []

    answer = await post(WebCourier(Guard(resolver=resolver)), "https://slow.example/", timeout_s=0.3)
    gate.set()
    assert answer.error == "timeout"


async def test_a_closed_port_is_refused(courier: Courier) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await post(courier, f"http://127.0.0.1:{port}/")).error == "refused"


async def test_a_reset_is_told(courier: Courier, receiver: ScriptedHttp) -> None:
    receiver.scripts["/"] = lambda visit: visit.reset()
    assert (await post(courier, receiver.url())).error == "reset"


@pytest.mark.parametrize("said", [b"", b"what?\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n"])
async def test_what_is_not_http_is_told(courier: Courier, receiver: ScriptedHttp, said: bytes) -> None:
    receiver.scripts["/"] = lambda visit: visit.send(said)
    assert (await post(courier, receiver.url())).error == "protocol"


async def test_a_certificate_must_be_trusted_and_for_that_name(tmp_path: Path) -> None:
    tls, trust = certificate(tmp_path, "right.example")
    guard = Guard(["127.0.0.0/8"], resolver=lambda host, port: ["127.0.0.1"])
    with ScriptedHttp({"/": lambda visit: visit.answer()}, tls) as server:
        assert (await post(WebCourier(guard), server.url(host="right.example"))).error == "tls"
        assert (await post(WebCourier(guard, trust), server.url(host="wrong.example"))).error == "tls"
        assert (await post(WebCourier(guard, trust), server.url(host="right.example"))).status == 200


async def test_plain_http_where_tls_was_expected_is_told(courier: Courier) -> None:
    def answer() -> None:
        with listener.accept()[0] as sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        assert (await post(courier, f"https://127.0.0.1:{listener.getsockname()[1]}/")).error == "tls"
        thread.join()


async def test_a_name_nobody_knows_is_told() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    assert (await post(WebCourier(Guard(resolver=resolver)), "https://none.example/")).error == "dns"


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://169.254.169.254/", "http://example.com/", "nonsense"])
@pytest.mark.promise("J36")
async def test_a_forbidden_address_is_never_called(url: str) -> None:
    answer = await post(WebCourier(Guard()), url)
    assert (answer.status, answer.error) == (None, "forbidden_address")


@pytest.mark.promise("J36")
async def test_a_name_that_turned_private_is_never_called(receiver: ScriptedHttp) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    courier = WebCourier(Guard(resolver=lambda host, port: next(answers)))
    url = f"https://hook.example:{receiver.port}/"
    await asyncio.to_thread(courier.check, url)
    assert (await post(courier, url)).error == "forbidden_address"
    assert not receiver.visits


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hook.example/", "scheme"),
        ("https://user:pass@hook.example/", "credentials"),
        ("https://hook.example/" + "x" * 2048, "url_too_long"),
        ("https://10.0.0.1/", "forbidden_address"),
        ("https://inside.example/", "forbidden_address"),
        ("https://half.example/", "forbidden_address"),
    ],
)
@pytest.mark.promise("J36")
def test_what_may_not_be_called_is_refused_when_it_is_named(url: str, reason: str) -> None:
    known = {"inside.example": ["10.0.0.1"], "half.example": ["8.8.8.8", "127.0.0.1"]}
    courier = WebCourier(Guard(resolver=lambda host, port: known.get(host, ["8.8.8.8"])))
    with pytest.raises(SourceRefused) as refused:
        courier.check(url)
    assert refused.value.reason == reason
    courier.check("https://hook.example/path?query")


async def test_four_posts_to_a_host_are_under_way_at_most(courier: Courier, receiver: ScriptedHttp) -> None:
    gate, lock = threading.Event(), threading.Lock()
    now = most = 0

    def hold(visit: Visit) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == MAX_PER_HOST:
                gate.set()
        gate.wait(10)
        with lock:
            now -= 1
        visit.answer()

    receiver.scripts["/"] = hold
    answers = await asyncio.gather(*(post(courier, receiver.url()) for _ in range(12)))
    assert {answer.status for answer in answers} == {200}
    assert most == MAX_PER_HOST
    assert not courier._hosts


async def test_a_cancelled_attempt_ends_at_once_and_frees_its_turn(courier: Courier, receiver: ScriptedHttp) -> None:
    reached = threading.Event()

    def hang(visit: Visit) -> None:
        reached.set()
        visit.ended.wait(20)

    receiver.scripts["/"] = hang
    task = asyncio.create_task(post(courier, receiver.url(), timeout_s=20))
    await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not courier._hosts
