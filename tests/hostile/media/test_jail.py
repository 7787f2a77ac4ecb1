"""What a decoder child can still do, should a recording ever make it do what a stranger wants."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.media.test_children import LIMITS, MOODY, children
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.media.syscalls import ALLOWED

# numbers of x86_64; asked for without arguments, so that what is let through fails with another error than EPERM
FORBIDDEN = {
    "open": 2,
    "socket": 41,
    "connect": 42,
    "clone": 56,
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "kill": 62,
    "fcntl": 72,
    "unlink": 87,
    "ptrace": 101,
    "prctl": 157,
    "mount": 165,
    "tkill": 200,
    "tgkill": 234,
    "openat": 257,
    "unshare": 272,
    "prlimit64": 302,
    "process_vm_readv": 310,
    "memfd_create": 319,
    "bpf": 321,
    "execveat": 322,
    "io_uring_setup": 425,
    "clone3": 435,
    "openat2": 437,
    "a call of a later kernel": 600,
}
_ASKS = f"""
import ctypes, json, os
from tiro.adapters.media import jail
libc = ctypes.CDLL(None, use_errno=True)
jail.confine(10, 64 << 20)
answers = {{}}
for name, number in {FORBIDDEN!r}.items():
    ctypes.set_errno(0)
    answers[name] = (libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno())
os.write(1, json.dumps(answers).encode())
os._exit(0)
"""


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[ChildPreparer]:
    preparer = ChildPreparer(vad="energy", command=MOODY, scratch=tmp_path)
    yield preparer
    preparer.close()


@pytest.fixture
def child(moody: ChildPreparer, tmp_path: Path) -> Iterator[Path]:
    """The /proc folder of a child at work."""
    (tmp_path / "sleep").write_text("sleep " * 8)
    frames = moody.prepare(tmp_path / "sleep", LIMITS, True, threading.Event())
    next(frames)
    (pid,) = children(moody)
    yield Path(f"/proc/{pid}")
    frames.close()  # type: ignore[attr-defined]


def _status(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def _confined(program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)


def test_every_system_call_that_reaches_out_is_refused() -> None:
    """As EPERM: files, sockets, processes, programs, signals, other processes' memory, new limits."""
    ended = _confined(_ASKS)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {name: [-1, 1] for name in FORBIDDEN}


def test_the_list_of_what_is_allowed_is_short_and_opens_nothing() -> None:
    assert not FORBIDDEN.keys() & ALLOWED.keys()
    assert not set(FORBIDDEN.values()) & set(ALLOWED.values())
    assert len(ALLOWED) < 32


def test_a_call_of_another_architecture_ends_the_child() -> None:
    """int 0x80 asks with the numbers of 32 bits: there 1 is exit, and 5 opens files."""
    program = """
import ctypes, mmap
from tiro.adapters.media import jail
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, getpid; int 0x80; ret
ask = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
jail.confine(10, 64 << 20)
ask()
"""
    assert _confined(program).returncode == -31  # SIGSYS


def test_seconds_of_cpu_are_counted_by_the_kernel() -> None:
    """Whatever the clock on the wall says."""
    ended = _confined("from tiro.adapters.media import jail\njail.confine(1, 64 << 20)\nwhile True: pass")
    assert ended.returncode == -9


def test_memory_ends_at_the_limit() -> None:
    program = """
import os
from tiro.adapters.media import jail
jail.confine(10, 64 << 20)
bytearray(32 << 20)
try:
    bytearray(65 << 20)
except MemoryError:
    os._exit(42)
"""
    assert _confined(program).returncode == 42


def test_a_child_has_every_limit_there_is(child: Path) -> None:
    lines = (child / "limits").read_text().splitlines()[1:]
    hard = {line[:26].strip(): line[26:].split()[1] for line in lines}
    assert hard["Max cpu time"] == "63"
    assert hard["Max file size"] == hard["Max core file size"] == hard["Max processes"] == "0"
    assert hard["Max open files"] == "32"
    assert int(hard["Max address space"]) < 4 << 30


def test_a_child_is_alone(child: Path) -> None:
    """No privileges to be had, a filter for its calls, one thread, a session of its own."""
    status = _status(child)
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    group, session = (child / "stat").read_text().rsplit(")", 1)[1].split()[2:4]
    assert group == session == child.name


def test_a_child_holds_its_file_to_read_and_its_pipe_and_nothing_else(moody: ChildPreparer, tmp_path: Path) -> None:
    """As it says itself, beside the three streams that lead nowhere: nothing of the zygote's is in its hands."""
    (tmp_path / "hands").write_text("hands " * 8)
    probe = moody.probe(tmp_path / "hands", LIMITS, threading.Event())
    assert probe.codec == "a file, not to be written; a pipe"


def test_children_have_no_network_where_the_system_gives_them_one_of_their_own(
    moody: ChildPreparer, child: Path
) -> None:
    """Without (in some containers), the filter alone stands before the network. The zygote's is theirs."""
    allowed = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True).returncode == 0
    ours, its = (Path(f"/proc/{process}/ns/net").readlink() for process in ("self", moody._zygote.pid))
    assert (ours != its) == allowed
