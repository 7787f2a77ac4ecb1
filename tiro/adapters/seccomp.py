"""How does a process give up system calls for good? It hands the kernel a small program that judges each call (seccomp).

This asks for no privilege, holds for everything the process starts, and cannot be taken down again.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable, Iterable

LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_NOT_LESS, RETURN = 0x20, 0x15, 0x35, 0x06
KILL, ALLOW, REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
NUMBER_AT, ARCH_AT = 0, 4
"""Offsets in the kernel's struct seccomp_data."""
X86_64, AARCH64 = 0xC000003E, 0xC00000B7
"""The kernel's names of architectures."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_INSTRUCTION = struct.Struct("<HBBI")

Step = tuple[int, int, int, int]
"""(operation, steps to leave out if so, if not, value)."""


def enforcer(steps: Iterable[Step]) -> Callable[[], bool]:
    """What a process calls to live by these steps from then on; False where the system has no such wall.

    Everything is made here, so that the call itself is safe between fork and exec.
    """
    packed = b"".join(_INSTRUCTION.pack(*step) for step in steps)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = struct.pack("@HP", len(packed) // _INSTRUCTION.size, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)

    def enforce() -> bool:
        # keeps the buffer that the program points into
        assert buffer
        gave_up_privileges = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        return bool(gave_up_privileges and libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, program, 0, 0) == 0)

    return enforce
