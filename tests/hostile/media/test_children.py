"""A decoder child that crashes, hangs, hoards or lies costs its own file and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.media_builder import numbered, wav
from tiro.adapters.media.decoder import Stopped
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused, Transient
from tiro.model.media import MediaLimits
from tiro.ports import PreparedEnd

LIMITS = MediaLimits(max_duration_s=60, max_bytes=1 << 30, deadline_s=30)
LONG = MediaLimits(max_duration_s=130, max_bytes=1 << 30, deadline_s=30)
MOODY = (sys.executable, "-m", "tests.stubs.moody_decoder")


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[ChildPreparer]:
    # -X does nothing but make the command line this test's own
    preparer = ChildPreparer(vad="energy", command=(MOODY[0], "-X", f"of={tmp_path}", *MOODY[1:]), scratch=tmp_path)
    yield preparer
    preparer.close()


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str], Path]:
    def write(word: str) -> Path:
        path = tmp_path / word
        path.write_text(f"{word} " * 8)
        return path

    return write


def children(preparer: ChildPreparer) -> list[int]:
    """Living and dead ones alike."""
    pid = preparer._zygote.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(holds: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def prepare(preparer: ChildPreparer, path: Path, limits: MediaLimits = LIMITS) -> list[object]:
    return list(preparer.prepare(path, limits, True, threading.Event()))


def family(preparer: ChildPreparer) -> list[int]:
    """Every process that has come from this preparer's zygote, whoever its parent is now: forks keep the command line."""
    zygote = Path(f"/proc/{preparer._zygote.pid}/cmdline").read_bytes()
    return [
        int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit() and _says(process, zygote)
    ]


def _says(process: Path, command: bytes) -> bool:
    try:
        return (process / "cmdline").read_bytes() == command
    except (FileNotFoundError, ProcessLookupError):
        return False


DEEDS = {
    "segfault": "crashes (SIGSEGV)",
    "exit": "ends without a word",
    "kill": "is killed, as the kernel does when memory is short",
    "hoard": "takes 4 GB of memory",
    "write": "writes a file",
    "fill": "writes 100 GB to the disk",
    "breed": "forks without end",
    "thread": "starts a thread",
    "call": "opens a connection",
    "run": "runs a program",
    "murder": "kills its parent",
    "huge": "sends a frame of more than 1 MB",
    "odd": "sends half a sample",
    "twice": "sends two probes",
    "uncounted": "miscounts its samples",
}


@pytest.mark.parametrize("deed", ["segfault", "kill", "exit", "huge", "odd", "twice", "uncounted"])
def test_a_child_that_dies_over_one_of_several_files_costs_that_one_alone(
    moody: ChildPreparer, told: Callable[[str], Path], deed: str
) -> None:
    """It is read again alone, so that it is refused for what it is; those behind it go to another child."""
    files = [told(word) for word in ("good", deed, "fine")]
    prepared = list(moody.prepare_each(files, LIMITS, threading.Event()))
    refused = [isinstance(one.error, MediaRefused) and one.error.reason == "decode_failed" for one in prepared]
    assert refused == [False, True, False]
    assert [one.end is not None for one in prepared] == [True, False, True]
    assert until(lambda: not children(moody))


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(
            deed, marks=pytest.mark.hostile_input(24, f"a decoder that {what}", "decode_failed, neighbour unhurt")
        )
        for deed, what in DEEDS.items()
    ],
)
def test_a_child_gone_wrong_costs_its_own_file_and_nothing_else(
    moody: ChildPreparer, told: Callable[[str], Path], tmp_path: Path, deed: str, seen: Callable[[str], None]
) -> None:
    """For good: another attempt would end as this one did. A neighbour that is half decoded gets to its end."""
    neighbour = moody.prepare(told("long"), LONG, True, threading.Event())
    next(neighbour)
    zygote = moody._zygote.pid
    with pytest.raises(MediaRefused) as refused:
        prepare(moody, told(deed))
    *_, end = neighbour
    seen(f"{refused.value.reason}, neighbour's {end.decoded_s:.0f} of 120 s")  # type: ignore[union-attr]
    assert refused.value.reason == "decode_failed"
    assert not refused.value.again
    assert end.decoded_s == 120  # type: ignore[union-attr]
    assert until(lambda: children(moody) == [])
    assert family(moody) == [zygote]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["long", deed])


@pytest.mark.hostile_input(24, "a decoder that prints 64 MB", "completed")
def test_what_a_child_prints_goes_nowhere(
    moody: ChildPreparer, told: Callable[[str], Path], seen: Callable[[str], None]
) -> None:
    assert isinstance(prepare(moody, told("flood"))[-1], PreparedEnd)
    seen("completed")


@pytest.mark.hostile_input(24, "a decoder that sends sound without end", "duration_exceeds_limit")
def test_a_child_that_never_ends_its_sound_is_cut_at_the_limit(
    moody: ChildPreparer, told: Callable[[str], Path], seen: Callable[[str], None]
) -> None:
    with pytest.raises(MediaRefused) as refused:
        prepare(moody, told("endless"))
    seen(refused.value.reason)
    assert refused.value.reason == "duration_exceeds_limit"
    assert until(lambda: children(moody) == [])


@pytest.mark.parametrize("deed", ["sleep", "spin"])
@pytest.mark.hostile_input(24, "a decoder that hangs, one that loops", "decode_failed at the deadline")
def test_a_child_that_hangs_is_ended_at_the_deadline(
    moody: ChildPreparer, told: Callable[[str], Path], deed: str, seen: Callable[[str], None]
) -> None:
    with pytest.raises(MediaRefused) as refused:
        prepare(moody, told(deed), MediaLimits(60, 1 << 30, deadline_s=0.5))
    seen(refused.value.reason)
    assert refused.value.reason == "decode_failed"
    assert until(lambda: children(moody) == [])


def test_stop_ends_the_child_within_a_second(moody: ChildPreparer, told: Callable[[str], Path]) -> None:
    stop = threading.Event()
    frames = moody.prepare(told("sleep"), LIMITS, True, stop)
    next(frames)
    assert len(children(moody)) == 1
    began = time.monotonic()
    stop.set()
    with pytest.raises(Stopped):
        next(frames)
    assert until(lambda: children(moody) == [])
    assert time.monotonic() - began < 1


def test_closing_the_iterator_ends_the_child(moody: ChildPreparer, told: Callable[[str], Path]) -> None:
    frames = moody.prepare(told("sleep"), LIMITS, True, threading.Event())
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert until(lambda: children(moody) == [], 1)


def test_one_file_in_trouble_does_not_disturb_another(moody: ChildPreparer, told: Callable[[str], Path]) -> None:
    hanging = moody.prepare(told("sleep"), LIMITS, True, threading.Event())
    next(hanging)
    with pytest.raises(MediaRefused):
        prepare(moody, told("segfault"))
    assert isinstance(prepare(moody, told("well"))[-1], PreparedEnd)
    assert until(lambda: len(children(moody)) == 1)
    hanging.close()  # type: ignore[attr-defined]


def test_a_dead_zygote_is_replaced(moody: ChildPreparer, told: Callable[[str], Path]) -> None:
    prepare(moody, told("well"))
    first = moody._zygote.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert until(lambda: moody._zygote.pid is None)
    assert isinstance(prepare(moody, told("well"))[-1], PreparedEnd)
    assert moody._zygote.pid not in {None, first}


def test_without_a_child_the_trouble_is_ours_and_passes(told: Callable[[str], Path]) -> None:
    for command in (("/nonexistent/python",), (sys.executable, "-c", "raise SystemExit(1)")):
        preparer = ChildPreparer(vad="energy", command=command)
        with pytest.raises(Transient) as unavailable:
            prepare(preparer, told("well"))
        assert unavailable.value.code == "decoder_unavailable"
        preparer.close()


def test_a_zygote_that_is_killed_is_not_the_fault_of_the_recordings_that_it_decodes(
    moody: ChildPreparer, told: Callable[[str], Path]
) -> None:
    frames = moody.prepare(told("sleep"), LIMITS, True, threading.Event())
    next(frames)
    assert moody._zygote.pid is not None
    os.kill(moody._zygote.pid, signal.SIGKILL)
    with pytest.raises(Transient) as unavailable:
        next(frames)
    assert unavailable.value.code == "decoder_unavailable"


def test_zygote_and_children_end_with_the_process_that_started_them(told: Callable[[str], Path]) -> None:
    program = f"""
import os, signal, threading
from pathlib import Path
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.media import MediaLimits
preparer = ChildPreparer(vad="energy", command={MOODY!r})
frames = preparer.prepare(Path({str(told("sleep"))!r}), MediaLimits(60, 1 << 30), True, threading.Event())
next(frames)
zygote = preparer._zygote.pid
print(zygote, Path(f"/proc/{{zygote}}/task/{{zygote}}/children").read_text(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    pids = ended.stdout.split()
    assert len(pids) == 2
    assert until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_no_secret_is_within_reach_of_a_child(
    moody: ChildPreparer, told: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIRO_SECRET_KEY", "canary-7f")
    frames = moody.prepare(told("sleep"), LIMITS, True, threading.Event())
    next(frames)
    assert b"canary-7f" not in Path(f"/proc/{moody._zygote.pid}/environ").read_bytes()
    frames.close()  # type: ignore[attr-defined]


def test_many_files_at_once_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(numbered(5)))
    preparer = ChildPreparer(vad="energy")
    prepare(preparer, path)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    ends: list[object] = []
    threads = [threading.Thread(target=lambda: ends.append(prepare(preparer, path)[-1])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(end) for end in ends] == [PreparedEnd] * 12
    assert until(lambda: children(preparer) == [])
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_before
    assert list(tmp_path.iterdir()) == [path]
    preparer.close()
