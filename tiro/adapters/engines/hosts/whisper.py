"""Whisper inside a model host: independent windows of up to 30 s, encoded and decoded together, words timed by alignment."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import msgspec
import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from tiro.adapters.engines.words import segments, timed
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard
from tiro.ports import Samples

BEAM = 5
TEMPERATURES = (0.4, 0.8)
"""Tried, in this order, where the beam's answer repeats itself or is improbable."""
HYPOTHESES = 5
COMPRESSION_LIMIT = 2.4
LOGPROB_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
_SILENCE_PEAK = 1e-3
_HOP = 160
_SHORTEST = SAMPLE_RATE_HZ // 10
_AT_ONCE = 4
"""Windows that are decoded together."""
_LARGEST_PROMPT = 220
"""Tokens of prompt and vocabulary; half of the decoder's 448 minus its own."""


class Attempt(msgspec.Struct, frozen=True):
    """What one decoding of one window gave."""

    tokens: list[int]
    logprob: float
    no_speech: float
    compression: float

    @property
    def sound(self) -> bool:
        """Neither a loop nor a guess; or silence, which is also an answer."""
        return self.silent or (self.compression <= COMPRESSION_LIMIT and self.logprob >= LOGPROB_LIMIT)

    @property
    def silent(self) -> bool:
        return self.no_speech > NO_SPEECH_LIMIT and self.logprob < LOGPROB_LIMIT


class Prepared(msgspec.Struct, frozen=True):
    """The windows of a batch: their samples, which of them can be heard, and their features (windows x mels x 3000)."""

    sizes: list[int]
    audible: list[int]
    features: np.ndarray


def load(
    model: str, name: str, device: str, compute_type: str, device_index: int = 0, threads: int = 1
) -> WhisperModel:
    """The model in this folder, or of this repository where it is in the hub's cache."""
    whisper = faster_whisper.WhisperModel(
        model,
        device=device,
        device_index=device_index,
        compute_type=compute_type,
        cpu_threads=1,
        local_files_only=not Path(model).is_dir(),
    )
    return WhisperModel(name, whisper, threads)


class WhisperModel:
    """Answers batches of windows; a window's words do not depend on its company."""

    def __init__(self, name: str, whisper: Any, threads: int = 1) -> None:
        self.name = name
        self._whisper = whisper
        self._multilingual = bool(whisper.model.is_multilingual)
        self._threads = ThreadPoolExecutor(threads) if threads > 1 else None

    def prepare(self, windows: list[Samples]) -> Prepared:
        """The features of all windows."""
        audible = [n for n, window in enumerate(windows) if _audible(window)]
        return Prepared([len(window) for window in windows], audible, self._features(windows))

    def transcribe(self, prepared: Prepared, options: EngineOptions) -> list[Heard]:
        heard: list[Heard] = [Heard((), options.language) for _ in prepared.sizes]
        for chunk in (prepared.audible[n : n + _AT_ONCE] for n in range(0, len(prepared.audible), _AT_ONCE)):
            for n, answer in zip(chunk, self._heard(prepared, chunk, options), strict=True):
                heard[n] = answer
        return heard

    def detect(self, prepared: Prepared) -> list[dict[str, float]]:
        if not self._multilingual:
            return [{"en": 1.0} for _ in prepared.sizes]
        found: list[Any] = []
        for n in range(0, len(prepared.sizes), _AT_ONCE):
            found += self._whisper.model.detect_language(self._whisper.encode(prepared.features[n : n + _AT_ONCE]))
        return [{token[2:-2]: round(float(p), 5) for token, p in row if p > 1e-4} for row in found]

    def _heard(self, prepared: Prepared, chunk: list[int], options: EngineOptions) -> list[Heard]:
        features = prepared.features[chunk]
        spoken = self._languages(features) if options.language is None else [(options.language, None)] * len(chunk)
        heard: dict[int, Heard] = {}
        for language in sorted({code for code, _ in spoken}):
            rows = [row for row, (code, _) in enumerate(spoken) if code == language]
            sizes = [prepared.sizes[chunk[row]] for row in rows]
            answers = self._decode(features[rows], sizes, language, options)
            for row, answer in zip(rows, answers, strict=True):
                heard[row] = Heard(answer, language, spoken[row][1])
        return [heard[row] for row in range(len(chunk))]

    def _languages(self, features: np.ndarray) -> list[tuple[str, float | None]]:
        if not self._multilingual:
            return [("en", None)] * len(features)
        found = self._whisper.model.detect_language(self._whisper.encode(features))
        return [(row[0][0][2:-2], round(float(row[0][1]), 4)) for row in found]

    def _features(self, windows: Sequence[Samples]) -> np.ndarray:
        """Log-mel of each window alone, padded to 30 s: windows x mels x 3000."""
        mapped = self._threads.map(self._log_mel, windows) if self._threads else map(self._log_mel, windows)
        return np.stack(list(mapped))

    def _log_mel(self, window: Samples) -> np.ndarray:
        # the extractor cannot mirror the end of what is shorter than its frame
        padded = np.pad(window, (0, max(0, _SHORTEST - len(window))))
        mel: np.ndarray = pad_or_trim(self._whisper.feature_extractor(padded)[..., :-1])
        return mel

    def _decode(self, features: np.ndarray, sizes: list[int], language: str, options: EngineOptions) -> list[Any]:
        tokenizer = Tokenizer(self._whisper.hf_tokenizer, self._multilingual, task=options.task, language=language)
        encoded = self._whisper.encode(features)
        attempts = self._generate(encoded, len(sizes), tokenizer, options, None)
        self._retry(attempts, features, tokenizer, options)
        tokens = [[t for t in a.tokens if t < tokenizer.eot and not a.silent] for a in attempts]
        frames = [max(2, size // _HOP) for size in sizes]
        aligned = self._whisper.find_alignment(tokenizer, tokens, encoded, frames)
        return [segments(timed(words, size / SAMPLE_RATE_HZ)) for words, size in zip(aligned, sizes, strict=True)]

    def _retry(
        self, attempts: list[Attempt], features: np.ndarray, tokenizer: Tokenizer, options: EngineOptions
    ) -> None:
        """Decode the doubtful windows again, ever hotter; keep the most probable answer that does not loop."""
        for temperature in TEMPERATURES:
            rows = [row for row, attempt in enumerate(attempts) if not attempt.sound]
            if not rows:
                return
            # the same windows get the same answers
            ctranslate2.set_random_seed(round(temperature * 1000))
            hotter = self._generate(self._whisper.encode(features[rows]), len(rows), tokenizer, options, temperature)
            for row, attempt in zip(rows, hotter, strict=True):
                attempts[row] = max(attempts[row], attempt, key=_preference)

    def _generate(
        self, encoded: Any, count: int, tokenizer: Tokenizer, options: EngineOptions, temperature: float | None
    ) -> list[Attempt]:
        prompt = self._prompt(tokenizer, options)
        how: dict[str, Any] = (
            {"beam_size": BEAM}
            if temperature is None
            else {"beam_size": 1, "num_hypotheses": HYPOTHESES, "sampling_topk": 0, "sampling_temperature": temperature}
        )
        results = self._whisper.model.generate(
            encoded,
            [prompt] * count,
            max_length=self._whisper.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1]) or ()),
            **how,
        )
        return [_attempt(result, tokenizer) for result in results]

    def _prompt(self, tokenizer: Tokenizer, options: EngineOptions) -> list[int]:
        """The start of the answer, after what the request wants it to be biased by."""
        hints = ", ".join(options.vocabulary)
        tokens = tokenizer.encode(" " + options.prompt.strip()) if options.prompt else []
        hotwords = tokenizer.encode(" " + hints) if hints else []
        kept = (hotwords[:_LARGEST_PROMPT] + tokens)[-_LARGEST_PROMPT:] if tokens else hotwords[:_LARGEST_PROMPT]
        prompt: list[int] = self._whisper.get_prompt(tokenizer, kept, without_timestamps=True)
        return prompt


def _audible(window: Samples) -> bool:
    return len(window) >= _SHORTEST and float(np.abs(window).max()) > _SILENCE_PEAK


def _preference(attempt: Attempt) -> tuple[bool, bool, float]:
    return attempt.sound, attempt.compression <= COMPRESSION_LIMIT, attempt.logprob


def _attempt(result: Any, tokenizer: Tokenizer) -> Attempt:
    tokens: list[int] = result.sequences_ids[0]
    # the score is a mean over the tokens; the end of the text counts as one more
    logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    text = tokenizer.decode(tokens).strip().encode()
    return Attempt(tokens, logprob, result.no_speech_prob, len(text) / len(zlib.compress(text)))
