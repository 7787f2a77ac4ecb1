"""Where could an attacker lead us? Into a network of our own, in which every address answers and whoever comes is written down.

Two network namespaces: `near`, where our code runs, and `far`, where all other addresses of the world are at home. Root only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.servers.scripted_http import Script, ScriptedHttp, Visit, certificate

_CLONE_NEWNET = 0x40000000
_NEAR, _FAR = "198.18.0.2", "198.18.0.1"
_NEAR6, _FAR6 = "fd18::2", "fd18::1"
OURS = "9.9.9.10"
"""A public address of this machine itself."""
PUBLIC = frozenset({"9.9.9.9", "9.9.9.8", "2606:4700::1111", "198.51.100.7"})
"""Addresses of the world that may be met; whoever is met elsewhere was led astray."""
PLAIN_PORTS, TLS_PORTS = (80, 8080), (443,)
SECRET = b"the secret of an inner server"
Meeting = tuple[str, int]


class Network:
    """In its `with` block servers listen on all addresses, near and far; `meetings` are the addresses that were connected to."""

    def __init__(self, folder: Path, scripts: Mapping[str, Script]) -> None:
        tls, self.trust = certificate(folder, "*.world.example", "*.inside.example")
        self.meetings: list[Meeting] = []
        self._scripts = scripts
        self._tls = tls
        self._far = ThreadPoolExecutor(1)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        tid = self._far.submit(_leave).result()
        _near(tid)
        self._far.submit(_there).result()
        for place in (self._here, self._far_away):
            for family in (socket.AF_INET, socket.AF_INET6):
                for port in (*PLAIN_PORTS, *TLS_PORTS):
                    listener = place(lambda family=family, port=port: _listener(family, port))
                    tls = self._tls if port in TLS_PORTS else None
                    self._open.enter_context(_Ear(self._scripts, tls, listener, self.meetings))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._far.shutdown()

    def take_meetings(self) -> list[Meeting]:
        """Who was met since the last call. Everybody queues behind us: when our own visit is noted, all before it are."""
        for place in (self._here, self._far_away):
            for address in ("127.0.0.1", "::1"):
                for port in (*PLAIN_PORTS, *TLS_PORTS):
                    self._visit(place, address, port)
        with _noting:
            taken, self.meetings[:] = list(self.meetings), []
        return [met for met in taken if met[0] != "us"]

    def _visit(self, place: Callable[[Callable[[], socket.socket]], socket.socket], address: str, port: int) -> None:
        before = self.meetings.count(("us", port))
        sock = place(lambda: _visitor(address, port))
        with sock, _noted:
            assert _noted.wait_for(lambda: self.meetings.count(("us", port)) > before, 10)

    def _here(self, work: Callable[[], socket.socket]) -> socket.socket:
        return work()

    def _far_away(self, work: Callable[[], socket.socket]) -> socket.socket:
        return self._far.submit(work).result()


_noting = threading.Lock()
_noted = threading.Condition(_noting)
_OUR_PORTS = range(1, 1000)


class _Ear(ScriptedHttp):
    """Writes down under which address it was found, also when nobody then speaks."""

    def __init__(
        self, scripts: Mapping[str, Script], tls: ssl.SSLContext | None, listener: socket.socket, notes: list[Meeting]
    ) -> None:
        super().__init__({}, tls, listener)
        self.scripts = _AnyPath(scripts)
        self._notes = notes

    def met(self, sock: socket.socket) -> None:
        address, port = sock.getsockname()[:2]
        ours = sock.getpeername()[1] in _OUR_PORTS
        with _noted:
            self._notes.append(("us" if ours else address, port))
            _noted.notify_all()


class _AnyPath(dict[str, Script]):
    def __missing__(self, path: str) -> Script:
        return _tell_secret


def _tell_secret(visit: Visit) -> None:
    visit.answer(body=SECRET)


def _listener(family: socket.AddressFamily, port: int) -> socket.socket:
    everywhere = "0.0.0.0" if family == socket.AF_INET else "::"
    return socket.create_server((everywhere, port), family=family, backlog=128)


def _visitor(address: str, port: int) -> socket.socket:
    """From a port that nobody else has: only root may."""
    source = "::1" if ":" in address else "127.0.0.1"
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((source, 999))
    sock.connect((address, port))
    return sock


def _leave() -> int:
    """This thread gets a network of its own; its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    return threading.get_native_id()


def _near(far: int) -> None:
    _ip(
        "link set lo up",
        "link add near type veth peer name far",
        f"link set far netns {far}",
        f"addr add {_NEAR}/24 dev near",
        f"addr add {_NEAR6}/64 dev near nodad",
        f"addr add {OURS}/32 dev lo",
        "link set near up",
        f"route add default via {_FAR}",
        f"-6 route add default via {_FAR6} dev near",
    )


def _there() -> None:
    """Every address is one of this place, but for the way back."""
    _ip(
        "link set lo up",
        f"addr add {_FAR}/24 dev far",
        f"addr add {_FAR6}/64 dev far nodad",
        "link set far up",
        "route add local default dev lo table main",
        "-6 route add local default dev lo table main",
    )


def _ip(*commands: str) -> None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, timeout=10, env={"PATH": path})
