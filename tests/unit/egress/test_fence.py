"""Has a program that yt-dlp starts no network, and all else that it needs?"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tiro.adapters.egress.fence import without_network

_TRY = """
import ctypes, json, os, socket, sys, threading
found = {}
for name in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"):
    try:
        socket.socket(getattr(socket, name), socket.SOCK_DGRAM)
        found[name] = "open"
    except OSError as error:
        found[name] = error.errno
libc = ctypes.CDLL(None, use_errno=True)
found["io_uring"] = "open" if libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0 else ctypes.get_errno()
socket.socketpair()
thread = threading.Thread(target=lambda: found.update(said=sys.stdin.read()))
thread.start()
thread.join()
print(json.dumps(found))
"""


@pytest.fixture
def tried() -> dict[str, object]:
    run = subprocess.run(
        [sys.executable, "-c", _TRY],
        input="2 + 2",
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=without_network(),
    )
    assert not run.returncode, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("way", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "io_uring"])
def test_no_socket_can_be_had(tried: dict[str, object], way: str) -> None:
    assert tried[way] == 1


def test_pipes_and_threads_work(tried: dict[str, object]) -> None:
    assert tried["said"] == "2 + 2"
