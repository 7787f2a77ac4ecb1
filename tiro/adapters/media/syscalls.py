"""Which system calls may a decoder child still make? It reads and writes what it holds already, manages its memory, and ends.

A filter in the kernel (seccomp) answers everything else with EPERM: no file is opened, no socket made, no process or thread started, no
program run, no signal sent, no other process looked at.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_PR_SET_SECCOMP = 22
_FILTER_MODE = 2
_AUDIT_ARCH_X86_64 = 0xC000003E
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_INSTRUCTION = struct.Struct("<HBBI")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4
"""Offsets in the kernel's struct seccomp_data."""

ALLOWED = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "nanosleep": 35,
    "getpid": 39,
    "exit": 60,
    "gettimeofday": 96,
    "sysinfo": 99,
    "gettid": 186,
    "futex": 202,
    "sched_getaffinity": 204,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "clock_getres": 229,
    "clock_nanosleep": 230,
    "exit_group": 231,
    # glibc's fstat; of a path it tells no more than that it exists
    "newfstatat": 262,
    "getrandom": 318,
}
"""Names and numbers on x86_64. What is not here is refused, so a new kernel's calls are, too."""


def forbid_the_rest() -> bool:
    """From here on only `ALLOWED`, for good. False where the system has no such filter, or the machine is no x86_64.

    The process must have given up new privileges (PR_SET_NO_NEW_PRIVS) before.
    """
    if platform.machine() != "x86_64":
        return False
    instructions = _program()
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("@HP", len(instructions) // _INSTRUCTION.size, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, program, 0, 0) == 0)


def _program() -> bytes:
    """Another architecture's calls (32 bits) end the process: their numbers mean something else."""
    calls = sorted(ALLOWED.values())
    steps = [
        (_LOAD_WORD, 0, 0, _ARCH_AT),
        (_JUMP_IF_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
        # the distance from each comparison to the last step, which allows
        *((_JUMP_IF_EQUAL, len(calls) - index, 0, number) for index, number in enumerate(calls)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)
