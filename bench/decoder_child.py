"""What does a child process per recording cost? `python -m bench.decoder_child` prints a line per format and the worst; target 15 ms.

Decodes the same small recording in a child, as the service does, and in this process, by turns, so that both see the same machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

import numpy as np

from bench.turns import report
from tiro.adapters.media import demux, flac
from tiro.adapters.media.decoder import Decoders
from tiro.adapters.media.protocol import End, Frame, Order
from tiro.adapters.media.zygote import Zygote
from tiro.model.media import SAMPLE_RATE_HZ, MediaLimits

TARGET_MS = 15.0
ROUNDS = 100
SECONDS = 10
LIMITS = MediaLimits(max_duration_s=60, max_bytes=1 << 30)
ORDER = Order(0, LIMITS.max_duration_s, split_channels=True, probe_only=False, cpu_s=60, memory_bytes=1 << 29)


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", "NONE"))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def write_flac(path: Path, samples: np.ndarray) -> None:
    path.write_bytes(flac.encode(samples))


FORMATS = {"wav": write_wav, "flac": write_flac}


def in_a_child(decoders: Decoders, path: Path) -> float:
    began = time.perf_counter()
    *_, end = decoders.frames(path, LIMITS, threading.Event(), split_channels=True, probe_only=False)
    assert isinstance(end, End)
    return (time.perf_counter() - began) * 1000


def in_this_process(path: Path) -> float:
    frames: list[Frame] = []
    began = time.perf_counter()
    demux.decode(os.open(path, os.O_RDONLY), None, ORDER, frames.append)
    assert isinstance(frames[-1], End)
    return (time.perf_counter() - began) * 1000


def told(times_ms: list[float]) -> str:
    return f"{statistics.median(times_ms):5.1f} ms ({min(times_ms):.1f} to {max(times_ms):.1f})"


def main() -> int:
    zygote = Zygote()
    decoders = Decoders(zygote)
    worst_ms = 0.0
    with tempfile.TemporaryDirectory() as folder:
        sound = 0.3 * np.random.default_rng(1).standard_normal(SECONDS * SAMPLE_RATE_HZ).clip(-1, 1)
        for extension, write in FORMATS.items():
            path = Path(folder) / f"small.{extension}"
            write(path, sound.astype(np.float32))
            in_a_child(decoders, path)
            in_this_process(path)
            pairs = [(in_a_child(decoders, path), in_this_process(path)) for _ in range(ROUNDS)]
            child, here = ([pair[side] for pair in pairs] for side in (0, 1))
            more_ms = statistics.median(one - other for one, other in pairs)
            worst_ms = max(worst_ms, more_ms)
            ratio = statistics.median(child) / statistics.median(here)
            print(f"{extension:<5} child {told(child)}   here {told(here)}   {more_ms:.1f} ms more, {ratio:.2f} times")
    zygote.close()
    what = f"a file of {SECONDS} s in a child process, the worst format's ms more than in this process"
    return report("decoder_child", what, [worst_ms], f"<= {TARGET_MS:.0f}", worst_ms <= TARGET_MS)


if __name__ == "__main__":
    sys.exit(main())
