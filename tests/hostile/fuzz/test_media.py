"""Small valid recordings with bytes changed, lost and put in, through the real decoder child: a probe or a reason, and nothing else.

Little of it is done in the suite; `FUZZ_TIMES=100 .venv/bin/pytest tests/hostile/fuzz` looks further, and elsewhere each time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.fuzz.effort import effort
from tests.hostile.media.matroska import with_magicyuv
from tests.hostile.media.test_children import children, family, until
from tests.media_builder import FORMATS, encode, noise, numbered, wav
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.media.zygote import COMMAND
from tiro.model.errors import MediaReason, MediaRefused
from tiro.model.media import MediaLimits, MediaProbe

LIMITS = MediaLimits(max_duration_s=60, max_bytes=1 << 30, deadline_s=60)
SOUND = numbered(1)
MADE: dict[str, Callable[[], bytes]] = {
    **{extension: lambda extension=extension: encode(SOUND, extension) for extension in FORMATS},  # type: ignore[misc]
    "stereo mp3": lambda: encode(numbered(1).reshape(1, -1).repeat(2, 0), "mp3"),
    "float wav": lambda: wav(SOUND, form=3),
    "8 kHz wav": lambda: wav(noise(1, rate_hz=8000), 8000),
    "mkv with MagicYUV": lambda: with_magicyuv(SOUND),
}
HEAD_BYTES = 600
"""Where the containers say what they hold: half of the changes go there."""
NUMBERS = st.sampled_from(
    [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\0\1"]
)
DATA = st.one_of(st.binary(min_size=1, max_size=8), NUMBERS, NUMBERS, st.integers(1, 4096).map(bytes))


@cache
def whole(name: str) -> bytes:
    return MADE[name]()


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A recording with one to four wounds; now and then two recordings grown together."""
    made = whole(draw(st.sampled_from(sorted(MADE))))
    for _ in range(draw(st.integers(1, 4))):
        reach = min(HEAD_BYTES, len(made)) if draw(st.booleans()) else len(made)
        at, data = draw(st.integers(0, reach)), draw(DATA)
        match draw(st.sampled_from(["change", "change", "change", "lose", "put in", "double", "end", "graft"])):
            case "change":
                made = made[:at] + data + made[at + len(data) :]
            case "lose":
                made = made[:at] + made[at + draw(st.integers(1, 3000)) :]
            case "put in":
                made = made[:at] + data + made[at:]
            case "double":
                made = made[: at + draw(st.integers(1, 3000))] + made[at:]
            case "end":
                made = made[:at]
            case _:
                made = made[:at] + whole(draw(st.sampled_from(sorted(MADE))))[draw(st.integers(0, HEAD_BYTES)) :]
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def decoder(empty: Path) -> Iterator[ChildPreparer]:
    python, *words = COMMAND
    # -X does nothing but make the command line this test's own
    made = ChildPreparer(vad="energy", scratch=empty, command=(python, "-X", f"of={empty}", *words))
    yield made
    made.close()


@pytest.mark.hostile_input(
    24, "recordings with bytes changed, lost, put in", "a probe or a reason; the zygote lives on, alone"
)
def test_wounded_recordings_are_probed_or_refused(
    decoder: ChildPreparer, upload: Path, empty: Path, seen: Callable[[str], None]
) -> None:
    """And of all of them nothing stays: no process, no descriptor, no file."""
    met: Counter[str] = Counter()

    def ended() -> str:
        try:
            probe = decoder.glance(upload, LIMITS, threading.Event())
        except MediaRefused as refused:
            return refused.reason
        assert isinstance(probe, MediaProbe)
        return "probed"

    upload.write_bytes(whole("wav"))
    ended()
    zygote, descriptors = decoder._zygote.pid, len(list(Path("/proc/self/fd").iterdir()))
    assert zygote is not None

    @effort(600)
    @given(spoilt())
    def wounded(recording: bytes) -> None:
        upload.write_bytes(recording)
        end = ended()
        assert end in {"probed", *get_args(MediaReason)}
        assert decoder._zygote.pid == zygote
        met[end] += 1

    wounded()
    seen(", ".join(f"{end} {count}" for end, count in sorted(met.items())))
    assert min(met["probed"], met["decode_failed"]) > 10
    assert until(lambda: children(decoder) == [])
    assert family(decoder) == [zygote]
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert list(empty.iterdir()) == []
