"""What was said in the windows of a batch? Packed into passes, decoded, and again alone where it is doubtful."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import faster_whisper
import msgspec

from tiro.adapters.allocator import keep_large_pieces
from tiro.adapters.engines.hosts.whisper import passes
from tiro.adapters.engines.hosts.whisper.decoding import Decoder, Said
from tiro.adapters.engines.hosts.whisper.mel import HOP, SHORTEST, Mel, log_mel, peaks
from tiro.adapters.engines.hosts.whisper.passes import Pass
from tiro.adapters.engines.hosts.whisper.quality import SILENCE_PEAK, Peaks, believable, real
from tiro.adapters.engines.words import segments, timed
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard
from tiro.ports import Samples

Context = Literal["full", "short"]
_AT_ONCE = {"cpu": 4, "cuda": 16}
"""Passes that are decoded together."""
_LIKELY = 0.5
"""A language that is less probable is looked for again in a context of 30 s."""


class Prepared(msgspec.Struct, frozen=True):
    """The windows of a batch: samples, features, and how loud each 10 ms is."""

    sizes: list[int]
    mels: list[Mel]
    peaks: list[Peaks]

    @property
    def audible(self) -> list[int]:
        """The windows in which something sounds for long enough."""
        return [n for n, size in enumerate(self.sizes) if size >= SHORTEST and self.peaks[n].max() > SILENCE_PEAK]

    def frames(self, windows: Iterable[int]) -> dict[int, int]:
        """How long each of these windows is."""
        return {n: min(passes.FULL, self.sizes[n] // HOP) for n in windows}


def load(
    model: str,
    name: str,
    device: str,
    compute_type: str,
    device_index: int = 0,
    threads: int = 1,
    context: Context = "full",
) -> WhisperModel:
    """The model in this folder, or of this repository where it is in the hub's cache."""
    if device == "cpu":
        keep_large_pieces()
    whisper = faster_whisper.WhisperModel(
        model,
        device=device,
        device_index=device_index,
        compute_type=compute_type,
        cpu_threads=1,
        local_files_only=not Path(model).is_dir(),
    )
    return WhisperModel(name, whisper, threads, context)


class WhisperModel:
    """Answers batches of windows. What a window's company may change is said in `passes`.

    `context` full: several short windows share a pass of 30 s; short: each is encoded at its own length.
    """

    def __init__(self, name: str, whisper: Any, threads: int = 1, context: Context = "full") -> None:
        self.name = name
        self._filters: Mel = whisper.feature_extractor.mel_filters
        self._decoder = Decoder(whisper)
        self._context = context
        self._at_once = _AT_ONCE[whisper.model.device]
        self._threads = ThreadPoolExecutor(threads) if threads > 1 else None

    def prepare(self, windows: list[Samples]) -> Prepared:
        """The features of all windows, each by itself."""
        mapped = self._threads.map(self._mel, windows) if self._threads else map(self._mel, windows)
        return Prepared([len(window) for window in windows], list(mapped), list(map(peaks, windows)))

    def transcribe(self, prepared: Prepared, options: EngineOptions) -> list[Heard]:
        heard = [Heard((), options.language) for _ in prepared.sizes]
        first = self._passes(prepared.frames(prepared.audible), options)
        doubted = self._hear(first, prepared, options, heard)
        self._hear(passes.alone(prepared.frames(sorted(doubted))), prepared, options, heard)
        return heard

    def detect(self, prepared: Prepared) -> list[dict[str, float]]:
        if not self._decoder.multilingual:
            return [{"en": 1.0} for _ in prepared.sizes]
        found: list[dict[str, float]] = []
        for group in self._groups(passes.alone(prepared.frames(range(len(prepared.sizes))))):
            encoded = self._decoder.encode([passes.features(one, prepared.mels) for one in group])
            found += self._decoder.languages(encoded)
        return [{code: round(p, 5) for code, p in row.items() if p > 1e-4} for row in found]

    def _passes(self, windows: dict[int, int], options: EngineOptions) -> list[Pass]:
        """Windows share a pass only where they share their language."""
        if self._context == "short":
            return passes.short(windows)
        known = options.language is not None or not self._decoder.multilingual
        return passes.shared(windows) if known else passes.alone(windows)

    def _hear(self, given: list[Pass], prepared: Prepared, options: EngineOptions, heard: list[Heard]) -> set[int]:
        """Fills in what was heard, and says which windows are to be heard again, alone."""
        doubted: set[int] = set()
        for group in self._groups(given):
            laid = [passes.features(one, prepared.mels) for one in group]
            answers = self._decoder.answer(laid, [one.size for one in group], options, group[0].alone)
            for one, said in zip(group, answers, strict=True):
                doubted |= self._given_back(one, said, prepared, heard)
        return doubted

    def _given_back(self, one: Pass, said: Said, prepared: Prepared, heard: list[Heard]) -> set[int]:
        windows = {place.window for place in one.places}
        if not one.alone and not (said.attempt.certain and (said.language[1] or 1.0) >= _LIKELY):
            return windows
        rows, doubted = passes.divided(said.words, one, {n: prepared.peaks[n] for n in windows})
        for window in windows - doubted if not one.alone else windows:
            loud = prepared.peaks[window]
            words = believable(timed(rows[window], prepared.sizes[window] / SAMPLE_RATE_HZ), loud)
            heard[window] = Heard(real(segments(words), loud), *said.language)
        return set() if one.alone else doubted

    def _groups(self, given: list[Pass]) -> Iterable[list[Pass]]:
        """Passes of the same length, and with the same right to a last word, as many as are decoded together."""
        ordered = sorted(given, key=_kind)
        for row in (list(alike) for _, alike in groupby(ordered, key=_kind)):
            yield from (row[n : n + self._at_once] for n in range(0, len(row), self._at_once))

    def _mel(self, window: Samples) -> Mel:
        return log_mel(window, self._filters)


def _kind(one: Pass) -> tuple[int, bool]:
    return one.frames, one.alone
