"""Recordings that are too long, too large, or cost too much: refused at the limit, at a bounded price."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from tests.hostile.media.cases import bomb
from tests.hostile.media.flac_bomb import constant_flac
from tests.hostile.media.forged import headless_mp3
from tests.hostile.media.outcomes import glance, outcome, told
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.media import MediaLimits
from tiro.model.plans import DEFAULT_PLANS
from tiro.ports import PreparedEnd

Seen = Callable[[str], None]
RATE_HZ = 4000
TEN_HOURS = MediaLimits(max_duration_s=36_000, max_bytes=1 << 40)
TOO_LONG = "duration_exceeds_limit"


class Price:
    """What the decoder children of a preparer cost: seconds of CPU, and the most memory that one of them held."""

    def __init__(self, preparer: ChildPreparer) -> None:
        self._zygote = preparer._zygote.pid
        self._before_s = self._cpu_s()
        self.memory_bytes = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        # the zygote counts a child's seconds once it has buried it
        while self._children():
            time.sleep(0.01)
        self.cpu_s = self._cpu_s() - self._before_s

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for child in self._children():
                self.memory_bytes = max(self.memory_bytes, _peak_bytes(child))

    def _children(self) -> list[str]:
        return Path(f"/proc/{self._zygote}/task/{self._zygote}/children").read_text().split()

    def _cpu_s(self) -> float:
        """Of all children that have ended (cutime and cstime, in hundredths)."""
        fields = Path(f"/proc/{self._zygote}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) / 100


def _peak_bytes(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


BOMBS: dict[str, tuple[Callable[[], bytes], MediaLimits]] = {
    "3.4 MB of FLAC, 500 h": (lambda: constant_flac(500 * 3600 * 8000, 8000, claim=0), TEN_HOURS),
    "406 bytes of FLAC, 7.6 min, against 5 min": (lambda: bomb(RATE_HZ), MediaLimits(300, 1 << 30)),
}


@pytest.mark.parametrize(
    "what",
    [pytest.param(w, marks=pytest.mark.hostile_input(17, w, f"{TOO_LONG}, < 30 s of CPU, < 512 MB")) for w in BOMBS],
)
def test_a_small_file_that_unpacks_without_end_is_cut_at_the_limit(
    preparer: ChildPreparer, upload: Path, what: str, seen: Seen
) -> None:
    """FLAC keeps a constant stretch of any length in a few bytes."""
    make, limits = BOMBS[what]
    upload.write_bytes(make())
    assert upload.stat().st_size < 3_500_000
    assert glance(preparer, upload) is None
    with Price(preparer) as price:
        end = outcome(preparer, upload, limits)
    seen(f"{told(end)}, {price.cpu_s:.1f} s of CPU, {price.memory_bytes >> 20} MB")
    assert end == TOO_LONG
    assert price.cpu_s < 30
    assert price.memory_bytes < 512 << 20


PLAN_SECONDS = {"30 min": 1800, "180 min": 10_800, "10 h": 36_000}


@pytest.mark.parametrize(
    "limit_s",
    [
        pytest.param(
            limit_s, marks=pytest.mark.hostile_input(25, f"{plan} and 1 s on a plan of {plan}", f"{TOO_LONG}, late")
        )
        for plan, limit_s in PLAN_SECONDS.items()
    ],
)
def test_one_second_more_than_the_plan_is_too_long(
    preparer: ChildPreparer, upload: Path, limit_s: int, seen: Seen
) -> None:
    """Counted are decoded seconds, so it is known late; a header that claims far more is refused at once."""
    limits = MediaLimits(max_duration_s=limit_s, max_bytes=1 << 30)
    upload.write_bytes(constant_flac((limit_s + 1) * RATE_HZ, RATE_HZ))
    end, first = outcome(preparer, upload, limits), glance(preparer, upload, limits)
    seen(f"{told(end)}, {'late' if first is None else 'at once'}")
    assert (end, first) == (TOO_LONG, None)


@pytest.mark.hostile_input(25, "30 min 00 s on a plan of 30 min", "completed, 1800 s")
def test_a_recording_as_long_as_the_plan_is_taken(preparer: ChildPreparer, upload: Path, seen: Seen) -> None:
    upload.write_bytes(constant_flac(1800 * RATE_HZ, RATE_HZ))
    end = outcome(preparer, upload)
    seen(told(end))
    assert isinstance(end, PreparedEnd)
    assert end.decoded_s == 1800


@pytest.mark.hostile_input(25, "an MP3 of 35 min whose header knows of one, on a plan of 30 min", f"{TOO_LONG}, late")
def test_an_mp3_that_hides_its_length_fails_when_it_is_decoded(
    preparer: ChildPreparer, upload: Path, seen: Seen
) -> None:
    upload.write_bytes(headless_mp3(35))
    assert glance(preparer, upload) is None
    end = outcome(preparer, upload)
    seen(f"{told(end)}, late")
    assert end == TOO_LONG


@pytest.mark.parametrize(
    "limit_bytes",
    [
        pytest.param(size, marks=pytest.mark.hostile_input(26, f"{what} + 1 byte", "file_too_large, nothing decoded"))
        for what, size in {
            "30 MB": 30 << 20,
            "500 MB": 500 << 20,
            **{f"{plan.name}: {plan.max_bytes >> 20} MiB": plan.max_bytes for plan in DEFAULT_PLANS},
        }.items()
    ],
)
def test_one_byte_more_than_the_plan_is_too_large(
    preparer: ChildPreparer, upload: Path, limit_bytes: int, seen: Seen
) -> None:
    """A byte less, and it is looked at (and is no recording: the file is all holes)."""
    limits = MediaLimits(max_duration_s=36_000, max_bytes=limit_bytes)
    ends = []
    for size in (limit_bytes, limit_bytes + 1):
        with upload.open("wb") as file:
            file.truncate(size)
        ends.append(outcome(preparer, upload, limits))
        assert glance(preparer, upload, limits) == ends[-1]
    seen(f"{ends[1]}; without that byte: {ends[0]}")
    assert ends == ["unsupported_format", "file_too_large"]


def test_a_header_that_claims_far_more_than_the_plan_is_refused_at_once(preparer: ChildPreparer, upload: Path) -> None:
    """So little must not hold so much, though: a claim counts where there are bytes for it."""
    upload.write_bytes(constant_flac(10 * RATE_HZ, RATE_HZ, claim=3600 * RATE_HZ) + bytes(500_000))
    assert glance(preparer, upload) == TOO_LONG
