"""Where is speech? A probability per frame of 32 ms, streaming, and the intervals that these make."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiro.adapters.media.protocol import Pcm

FRAME_SAMPLES = 512
CHUNK_FRAMES = 320
CHUNK_SAMPLES = FRAME_SAMPLES * CHUNK_FRAMES
"""Sound is looked at 10.24 s at a time."""

ENTER, LEAVE = 0.5, 0.35
"""Speech begins at the first and ends below the second (Silero's own defaults)."""
SILENCE_FRAMES = 5
"""A pause this long (160 ms) ends an interval."""
PAD_FRAMES = 3
"""Kept on both sides of an interval: the model is late at a soft beginning and early at a soft end."""
SILENT_PEAK = 33
"""int16; under about -60 dBFS there is nothing to hear."""

_CONTEXT = 64
_STATE = (1, 1, 128)

Probabilities = NDArray[np.float32]
Interval = tuple[int, int]
"""(start, end) in frames or in samples, end excluded."""


class Vad(Protocol):
    """Hears one track from its beginning to its end."""

    def hear(self, pcm: NDArray[np.int16]) -> Probabilities:
        """One probability per frame of 512 samples; the last frame of a track may be shorter."""
        ...


class EnergyVad:
    """The light alternative: whatever sounds is speech. Meant for the scripted engine, whose numbered audio no model takes for a voice."""

    name = "energy-1"
    _RMS = 0.003 * 32768

    def hear(self, pcm: NDArray[np.int16]) -> Probabilities:
        frames = _frames(pcm).astype(np.float32)
        rms: NDArray[np.float32] = np.sqrt((frames**2).mean(axis=1))
        return (rms > self._RMS).astype(np.float32)


class SileroVad:
    """Silero's network over one track. Its state passes from chunk to chunk, so memory does not grow with the track."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros((1, _CONTEXT), np.float32)

    def hear(self, pcm: NDArray[np.int16]) -> Probabilities:
        frames = _frames(pcm)
        if not len(pcm) or np.abs(pcm.astype(np.int32)).max() < SILENT_PEAK:
            self._reset()
            return np.zeros(len(frames), np.float32)
        sound = frames.astype(np.float32) / np.float32(32768.0)
        before = np.concatenate([self._context, sound[:-1, -_CONTEXT:]])
        inputs = np.concatenate([before, sound], axis=1)
        outputs, self._h, self._c = self._session.run(None, {"input": inputs, "h": self._h, "c": self._c})
        self._context = sound[-1:, -_CONTEXT:]
        heard: Probabilities = np.asarray(outputs, np.float32).reshape(-1)
        return heard

    def _reset(self) -> None:
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros((1, _CONTEXT), np.float32)


class SileroModel:
    """The network, loaded once, on first use; shared by all tracks."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or _shipped()
        self.name = "silero-" + hashlib.sha256(self.path.read_bytes()).hexdigest()[:12]
        self._lock = threading.Lock()
        self._session: Any = None

    def track(self) -> SileroVad:
        with self._lock:
            if self._session is None:
                self._session = self._load()
        return SileroVad(self._session)

    def _load(self) -> Any:
        # it tells its maker of every process and session otherwise; only what is set before it is loaded keeps it from that
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # type: ignore[import-untyped]  # ships no types

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])


def _shipped() -> Path:
    """The model that comes with faster-whisper, found without importing it."""
    spec = importlib.util.find_spec("faster_whisper")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "assets" / "silero_vad_v6.onnx"


def _frames(pcm: NDArray[np.int16]) -> Pcm:
    missing = -len(pcm) % FRAME_SAMPLES
    return np.pad(pcm, (0, missing)).reshape(-1, FRAME_SAMPLES)


class Hysteresis:
    """Turns probabilities into intervals (in frames) as they come. What it says of a frame before `settled` never changes."""

    def __init__(self) -> None:
        self._at = 0
        self._start: int | None = None
        self._quiet_since: int | None = None

    @property
    def settled(self) -> int:
        """Frames before this are decided."""
        return self._at if self._quiet_since is None else self._quiet_since

    @property
    def open(self) -> Interval | None:
        """Speech that has not ended yet, as far as it is decided."""
        return None if self._start is None else (self._start, self.settled)

    def push(self, probabilities: Probabilities) -> list[Interval]:
        """The intervals that have ended."""
        ended: list[Interval] = []
        for probability in probabilities.tolist():
            self._step(probability, ended)
            self._at += 1
        return ended

    def _step(self, probability: float, ended: list[Interval]) -> None:
        if self._start is None:
            if probability >= ENTER:
                self._start = self._at
            return
        if probability >= LEAVE:
            self._quiet_since = None
            return
        if self._quiet_since is None:
            self._quiet_since = self._at
        if self._at - self._quiet_since + 1 >= SILENCE_FRAMES:
            ended.append((self._start, self._quiet_since))
            self._start, self._quiet_since = None, None

    def finish(self) -> list[Interval]:
        """The interval that the end of the track has ended."""
        last = self.open
        self._start, self._quiet_since = None, None
        return [] if last is None else [last]


def padded(intervals: list[Interval], pad: int, bounds: Interval) -> list[Interval]:
    """Each interval widened by `pad` inside `bounds`; those that then touch are one."""
    wide: list[Interval] = []
    for start, end in intervals:
        low, high = max(bounds[0], start - pad), min(bounds[1], end + pad)
        if wide and low <= wide[-1][1]:
            wide[-1] = (wide[-1][0], max(wide[-1][1], high))
        else:
            wide.append((low, high))
    return wide
