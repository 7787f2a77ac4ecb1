"""What an engine can do, known without loading it: languages, tasks, and the id that transcripts claim."""

from __future__ import annotations

import re

import msgspec

from tiro.model.speech import Task

ENGLISH = frozenset({"en"})
_SAME = {"jv": "jw", "nb": "no", "iw": "he", "fil": "tl", "cmn": "zh"}
"""Codes in use for what Whisper calls otherwise."""


class Abilities(msgspec.Struct, frozen=True):
    """What one engine with these settings can do. `languages` are ISO 639 codes; `detects`: it finds the language by itself."""

    id: str
    model: str
    languages: frozenset[str]
    tasks: frozenset[Task] = frozenset({"transcribe"})
    detects: bool = True
    max_window_s: float = 30.0

    def supports(self, language: str | None, task: Task) -> bool:
        """Whether it can do this; language None asks whether it can find the language by itself."""
        if task not in self.tasks:
            return False
        return self.detects if language is None else base(language) in self.languages


def base(language: str) -> str:
    """The language of a tag as Whisper names it: `pt-BR` -> `pt`, `nb` -> `no`."""
    plain = language.replace("_", "-").split("-")[0].lower()
    return _SAME.get(plain, plain)


def public_id(model: str) -> str:
    """How transcripts name a model: `Systran/faster-whisper-large-v3` -> `whisper_large_v3`, `whisper-1` -> `whisper_1`."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    name = re.sub(r"^faster-", "", name)
    return re.sub(r"[^a-z0-9]+", "_", name).strip("_") or "unnamed"
