"""What does the model say to a group of passes? Encoded once; language, text, second thoughts and word times all come from that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ctranslate2
import msgspec
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from tiro.adapters.engines.hosts.whisper.mel import Mel
from tiro.adapters.engines.hosts.whisper.quality import Attempt, better, compression
from tiro.model.speech import EngineOptions

BEAM = 5
TEMPERATURES = (0.4, 0.8)
"""Tried, in this order, where the beam's answer repeats itself or is improbable."""
HYPOTHESES = 5
_TIMED = 2400
"""Frames up to which a pass is decoded with timestamps: what has to say when each sentence begins and ends forgets fewer of its words, and
says fewer twice. A pass that is full may end within a sentence, and that one would be left for a next pass which there is not.
"""
_LARGEST_PROMPT = 220
"""Tokens of prompt and vocabulary; half of the decoder's 448 minus its own."""

Language = tuple[str, float | None]
"""Its code, and how probable it is; None: not measured."""


class Said(msgspec.Struct, frozen=True):
    """To one pass: how sure, in which language, and the words, aligned."""

    attempt: Attempt
    language: Language
    words: list[dict[str, Any]]


class Decoder:
    """Speaks to CTranslate2's Whisper. Keeps nothing of what it was asked."""

    def __init__(self, whisper: Any) -> None:
        self._whisper = whisper
        self._model = whisper.model
        self.multilingual = bool(whisper.model.is_multilingual)
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    def languages(self, encoded: Any) -> list[dict[str, float]]:
        """Code -> probability, most probable first, per pass."""
        found = self._model.detect_language(encoded)
        return [{token[2:-2]: float(p) for token, p in row} for row in found]

    def encode(self, features: Sequence[Mel]) -> Any:
        """On a CPU one after another: together they gain nothing there, and take memory that no cache holds."""
        if self._model.device != "cpu":
            return self._whisper.encode(np.stack(features))
        return _view(np.concatenate([np.array(self._whisper.encode(one)) for one in features]))

    def answer(self, features: Sequence[Mel], sizes: Sequence[int], options: EngineOptions, last: bool) -> list[Said]:
        """`sizes`: frames that are not padding. `last`: nobody asks again, so what is unsound is decoded hotter."""
        encoded = self.encode(features)
        languages = self._spoken(encoded, len(features), options)
        prompts = [
            self._prompt(self._tokenizer(code, options.task), options, timestamps=size <= _TIMED)
            for (code, _), size in zip(languages, sizes, strict=True)
        ]
        attempts = self._generate(encoded, prompts, None)
        if last:
            self._retry(attempts, encoded, prompts)
        aligned = self._aligned(
            attempts, encoded, sizes, [self._tokenizer(code, options.task) for code, _ in languages]
        )
        return [Said(*one) for one in zip(attempts, languages, aligned, strict=True)]

    def _spoken(self, encoded: Any, count: int, options: EngineOptions) -> list[Language]:
        if options.language is not None:
            return [(options.language, None)] * count
        if not self.multilingual:
            return [("en", None)] * count
        best = [next(iter(row.items())) for row in self.languages(encoded)]
        return [(code, round(probability, 4)) for code, probability in best]

    def _retry(self, attempts: list[Attempt], encoded: Any, prompts: list[list[int]]) -> None:
        """Decode the doubtful passes again, ever hotter, from what is encoded."""
        for temperature in TEMPERATURES:
            rows = [row for row, attempt in enumerate(attempts) if not attempt.sound]
            if not rows:
                return
            # the same windows get the same answers
            ctranslate2.set_random_seed(round(temperature * 1000))
            hotter = self._generate(_rows(encoded, rows, len(attempts)), [prompts[row] for row in rows], temperature)
            for row, attempt in zip(rows, hotter, strict=True):
                attempts[row] = better(attempts[row], attempt)

    def _generate(self, encoded: Any, prompts: list[list[int]], temperature: float | None) -> list[Attempt]:
        tokenizer = self._tokenizer("en", "transcribe")
        how: dict[str, Any] = (
            {"beam_size": BEAM}
            if temperature is None
            else {"beam_size": 1, "num_hypotheses": HYPOTHESES, "sampling_topk": 0, "sampling_temperature": temperature}
        )
        how |= {
            "max_length": self._whisper.max_length,
            "return_scores": True,
            "return_no_speech_prob": True,
            "suppress_blank": True,
            "suppress_tokens": list(get_suppressed_tokens(tokenizer, [-1]) or ()),
        }
        most = self._whisper.max_length // 2
        attempts: dict[int, Attempt] = {}
        # a prompt with timestamps is shorter by a token, and those of a batch are equally long
        for length in sorted({len(prompt) for prompt in prompts}):
            rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
            asked = _rows(encoded, rows, len(prompts)), [prompts[row] for row in rows]
            results = self._model.generate(*asked, **how)
            attempts |= dict(zip(rows, (_attempt(one, tokenizer, most) for one in results), strict=True))
        return [attempts[row] for row in range(len(prompts))]

    def _aligned(
        self, attempts: list[Attempt], encoded: Any, sizes: Sequence[int], tokenizers: list[Tokenizer]
    ) -> list[list[dict[str, Any]]]:
        """The words of each pass with their times; passes without text are not looked at, languages apart from each other."""
        aligned: list[list[dict[str, Any]]] = [[] for _ in attempts]
        texts = [[t for t in a.tokens if t < tokenizers[0].eot and not a.silent] for a in attempts]
        for tokenizer in {id(one): one for one in tokenizers}.values():
            rows = [row for row, one in enumerate(tokenizers) if one is tokenizer and texts[row]]
            if rows:
                frames = [max(2, sizes[row]) for row in rows]
                at = _rows(encoded, rows, len(attempts))
                found = self._whisper.find_alignment(tokenizer, [texts[row] for row in rows], at, frames)
                for row, words in zip(rows, found, strict=True):
                    aligned[row] = words
        return aligned

    def _prompt(self, tokenizer: Tokenizer, options: EngineOptions, *, timestamps: bool) -> list[int]:
        """The start of the answer, after what the request wants it to be biased by."""
        hints = ", ".join(options.vocabulary)
        tokens = tokenizer.encode(" " + options.prompt.strip()) if options.prompt else []
        hotwords = tokenizer.encode(" " + hints) if hints else []
        kept = (hotwords[:_LARGEST_PROMPT] + tokens)[-_LARGEST_PROMPT:] if tokens else hotwords[:_LARGEST_PROMPT]
        prompt: list[int] = self._whisper.get_prompt(tokenizer, kept, without_timestamps=not timestamps)
        return prompt

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        """One per language and task: what it derives from its vocabulary it derives once."""
        if (language, task) not in self._tokenizers:
            made = Tokenizer(self._whisper.hf_tokenizer, self.multilingual, task=task, language=language)
            self._tokenizers[language, task] = made
        return self._tokenizers[language, task]


def _rows(encoded: Any, rows: Sequence[int], count: int) -> Any:
    """Some rows of what was encoded, in the memory that numpy can cut; CTranslate2 brings them back to its card."""
    if len(rows) == count:
        return encoded
    near = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return _view(np.array(near)[list(rows)])


def _view(array: np.ndarray) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _attempt(result: Any, tokenizer: Tokenizer, most: int) -> Attempt:
    tokens: list[int] = result.sequences_ids[0]
    # the score is a mean over the tokens; the end of the text counts as one more
    logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    pressed = compression(tokenizer.decode(tokens))
    return Attempt(tokens, logprob, result.no_speech_prob, pressed, whole=len(tokens) < most - 1)
