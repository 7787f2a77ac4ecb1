"""How are programs that yt-dlp starts kept from the network? The kernel refuses them every socket."""

from __future__ import annotations

import errno
import platform
from collections.abc import Callable

from tiro.adapters.seccomp import (
    AARCH64,
    ALLOW,
    ARCH_AT,
    JUMP_IF_EQUAL,
    JUMP_IF_NOT_LESS,
    KILL,
    LOAD_WORD,
    NUMBER_AT,
    REFUSE,
    RETURN,
    X86_64,
    Step,
    enforcer,
)

_FOREIGN_CALLS = 0x40000000
"""From here on numbers belong to another way of calling (x32), with sockets of its own."""
_MACHINES = {"x86_64": (X86_64, 41), "aarch64": (AARCH64, 198)}
"""The kernel's name of the architecture, and its number of socket()."""
_IO_URING_SETUP = 425
"""The same everywhere. Sockets can be had through it, too."""


def without_network() -> Callable[[], None]:
    """What a new process calls, between fork and exec, to have no network. Raises OSError there where the system has no such wall."""
    enforce = enforcer(_steps()) if platform.machine() in _MACHINES else None

    def enter() -> None:
        if enforce is None or not enforce():
            raise OSError(errno.EPERM, "no system call filter")

    return enter


def _steps() -> list[Step]:
    """The filter for this machine."""
    architecture, make_socket = _MACHINES[platform.machine()]
    return [
        (LOAD_WORD, 0, 0, ARCH_AT),
        (JUMP_IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD_WORD, 0, 0, NUMBER_AT),
        (JUMP_IF_NOT_LESS, 2, 0, _FOREIGN_CALLS),
        (JUMP_IF_EQUAL, 1, 0, _IO_URING_SETUP),
        (JUMP_IF_EQUAL, 0, 1, make_socket),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
