"""How are programs that yt-dlp starts kept from the network? The kernel refuses them every socket (seccomp): this asks for no
privilege and cannot be taken down again.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Callable

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_NOT_LESS, _RETURN = 0x20, 0x15, 0x35, 0x06
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER_AT, _ARCH_AT = 0, 4
"""Offsets in the kernel's struct seccomp_data."""
_FOREIGN_CALLS = 0x40000000
"""From here on numbers belong to another way of calling (x32), with sockets of its own."""
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""The kernel's name of the architecture, and its number of socket()."""
_IO_URING_SETUP = 425
"""The same everywhere. Sockets can be had through it, too."""
_INSTRUCTION = struct.Struct("<HBBI")


def without_network() -> Callable[[], None]:
    """What a new process calls, between fork and exec, to have no network. Raises OSError there where the system has no such wall."""
    steps = _steps()
    buffer = ctypes.create_string_buffer(steps, len(steps))
    program = struct.pack("@HP", len(steps) // _INSTRUCTION.size, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        if (
            not steps
            or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            or libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, program, 0, 0)
        ):
            raise OSError(errno.EPERM, "no system call filter")
        # keeps the buffer that the program points into
        assert buffer

    return enter


def _steps() -> bytes:
    """The filter for this machine; empty where there is none. Each jump counts the steps it leaves out: (if so, if not)."""
    if platform.machine() not in _MACHINES:
        return b""
    architecture, make_socket = _MACHINES[platform.machine()]
    steps = (
        (_LOAD_WORD, 0, 0, _ARCH_AT),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_NOT_LESS, 2, 0, _FOREIGN_CALLS),
        (_JUMP_IF_EQUAL, 1, 0, _IO_URING_SETUP),
        (_JUMP_IF_EQUAL, 0, 1, make_socket),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)
