"""Does memory grow with the recording? `python -m bench.long_file [--hours 10] [--rounds 3] [--diarizer scripted]` prints a ratio.

A recording of ten hours against one of ten minutes, by turns, each handed to a fresh `tiro up` over HTTP and fetched again as a
transcript: the most memory (proportional set size) that the server and all its children had, without Temporal's. Decoding, cutting,
storing and writing are real; the engine is the scripted one, whose own memory hides nothing, and hears a word a second. The short set is
`--hours 1 --rounds 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av

from bench.serving import Owner, server
from bench.turns import Compared, Cost, by_turns, costing, medians, report
from tests.media_builder import numbered
from tiro.model.media import SAMPLE_RATE_HZ

TARGET = 1.10
SHORT_S = 600
_BITS_PER_S = 32_000
_FRAME_SAMPLES = 16_000
_WHOLE = 0.999


@functools.cache
def _ten_minutes() -> bytes:
    """MP3 frames and nothing around them: one after the other they are a recording again."""
    sound, out = (numbered(SHORT_S) * 32767).astype("i2")[None], io.BytesIO()
    bare = {"write_xing": "0", "id3v2_version": "0", "write_id3v1": "0"}
    with av.open(out, "w", format="mp3", options=bare) as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = _BITS_PER_S
        stream.codec_context.format = "s16p"
        for start in range(0, sound.shape[1], _FRAME_SAMPLES):
            frame = av.AudioFrame.from_ndarray(sound[:, start : start + _FRAME_SAMPLES], format="s16p", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def recording(seconds: int, folder: Path) -> Path:
    """Ten minutes again and again; small, and made in no time. A little less than asked for: where pieces meet, frames add to it."""
    path = folder / f"{seconds}.mp3"
    with path.open("wb") as file:
        for _ in range(seconds // SHORT_S):
            file.write(_ten_minutes())
        file.truncate(round(_WHOLE * seconds * _BITS_PER_S / 8))
    return path


def heard(path: Path, diarizer: str | None) -> Cost:
    """By a server of its own."""
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as name:
        told = {"TIRO_ENGINES": "scripted", "TIRO_DIARIZER": diarizer or "scripted"}
        with server(Path(name), **told) as (said, pid), costing(pid) as cost:
            cost.words = asyncio.run(_words(said["api"], said["key"], path, diarize=diarizer is not None))
    return cost


async def _words(api: str, key: str, path: Path, *, diarize: bool) -> Sequence[str]:
    async with Owner(api, key) as owner:
        return await owner.words(await owner.submitted(path, diarize=str(diarize).lower()))


def judged(found: Compared, hours: float, diarizer: str | None) -> int:
    """Prints the figure; whether it is kept."""
    ratios = [long.peak_mib / short.peak_mib for long, short in zip(found.ours, found.peer, strict=True)]
    whole = min(len(cost.words) for cost in found.ours) >= 0.99 * hours * 3600
    return report(
        "long_file",
        f"most memory for {hours:g} h / 10 min{f', voices told apart ({diarizer})' if diarizer else ''}",
        ratios,
        f"<= {TARGET:.2f}",
        sorted(ratios)[len(ratios) // 2] <= TARGET and whole,
        f"{hours:g} h {medians(found.ours)}; 10 min {medians(found.peer)}",
        f"words heard: {min(len(cost.words) for cost in found.ours)}{'' if whole else ': SOME ARE MISSING'}",
    )


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    wanted.add_argument("--hours", type=float, default=10)
    wanted.add_argument("--rounds", type=int, default=3)
    wanted.add_argument("--diarizer", choices=("scripted", "acoustic"))
    asked = wanted.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiro-bench-")))
        long, short = recording(round(asked.hours * 3600), folder), recording(SHORT_S, folder)
        found = by_turns(lambda: heard(long, asked.diarizer), lambda: heard(short, asked.diarizer), asked.rounds)
        return judged(found, asked.hours, asked.diarizer)


if __name__ == "__main__":
    sys.exit(main())
