"""Which system calls may a decoder child still make? It reads and writes what it holds already, manages its memory, and ends.

A filter in the kernel (seccomp) answers everything else with EPERM: no file is opened, no socket made, no process or thread started, no
program run, no signal sent, no other process looked at.
"""

from __future__ import annotations

import platform

from tiro.adapters.seccomp import (
    ALLOW,
    ARCH_AT,
    JUMP_IF_EQUAL,
    KILL,
    LOAD_WORD,
    NUMBER_AT,
    REFUSE,
    RETURN,
    X86_64,
    Step,
    enforcer,
)

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
    """From here on only `ALLOWED`, for good. False where the system has no such filter, or the machine is no x86_64."""
    return platform.machine() == "x86_64" and enforcer(_steps())()


def _steps() -> list[Step]:
    """Another architecture's calls (32 bits) end the process: their numbers mean something else."""
    calls = sorted(ALLOWED.values())
    return [
        (LOAD_WORD, 0, 0, ARCH_AT),
        (JUMP_IF_EQUAL, 1, 0, X86_64),
        (RETURN, 0, 0, KILL),
        (LOAD_WORD, 0, 0, NUMBER_AT),
        # the distance from each comparison to the last step, which allows
        *((JUMP_IF_EQUAL, len(calls) - index, 0, number) for index, number in enumerate(calls)),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
