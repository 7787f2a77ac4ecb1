"""Which engines there are, what each can do here, and which of them make up a server's chain.

An id may carry words of its own after a colon (`scripted:delay=0.05`, `assemblyai:universal-2`); the part before it is the row of ENGINES.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from tiro.adapters.engines import whisper_models
from tiro.adapters.engines.abilities import ENGLISH, Abilities, public_id
from tiro.model.errors import Invalid, Permanent
from tiro.model.languages import LANGUAGES
from tiro.model.speech import Task
from tiro.ports import Engine

if TYPE_CHECKING:
    import httpx2

HttpFactory = Callable[[], "httpx2.AsyncClient"]
"""Makes the client of a hosted engine, behind the egress guard."""


class EngineSettings(Protocol):
    """The settings that engines read (`tiro.settings.Settings` has them)."""

    @property
    def engines(self) -> tuple[str, ...]: ...
    @property
    def whisper_model(self) -> str | None: ...
    @property
    def openai_url(self) -> str | None: ...
    @property
    def openai_key(self) -> str | None: ...
    @property
    def openai_model(self) -> str: ...
    @property
    def assemblyai_url(self) -> str: ...
    @property
    def assemblyai_key(self) -> str | None: ...
    @property
    def replicas(self) -> int | None: ...
    @property
    def whisper_batch(self) -> int | None: ...
    @property
    def whisper_context(self) -> Literal["auto", "full", "short"]: ...
    @property
    def whisper_window_s(self) -> float | None: ...
    @property
    def whisper_calibrate(self) -> bool: ...
    @property
    def cache(self) -> str: ...


class Row(msgspec.Struct, frozen=True):
    """One engine: what it can do, why it cannot run here (None: it can), how it is made. `script` is what follows the colon."""

    abilities: Callable[[EngineSettings, str], Abilities]
    missing: Callable[[EngineSettings], str | None]
    make: Callable[[EngineSettings, str, HttpFactory], Engine]


class Chain(msgspec.Struct, frozen=True):
    """The engines that can run here, in order of preference, and what was left out and why."""

    engines: tuple[Engine, ...]
    warnings: tuple[str, ...]


def resolve_chain(settings: EngineSettings, http: HttpFactory) -> Chain:
    """The chain of this server; nothing is loaded (that is `Engine.start`). Raises Permanent `engine_unavailable` for an empty one.

    Without a choice in the settings: faster_whisper, or pocketsphinx where no Whisper can run. pocketsphinx never stands behind another.
    """
    chosen, warnings = _chosen(settings)
    if not chosen:
        raise Permanent("engine_unavailable", " ".join(["No engine can run here.", *warnings]))
    engines = tuple(_row(id_).make(settings, _script(id_), http) for id_ in chosen)
    names = [engine.id for engine in engines]
    if len(set(names)) != len(names):
        raise Invalid(
            "invalid_setting", f"TIRO_ENGINES names an engine twice: {', '.join(names)}.", param="TIRO_ENGINES"
        )
    return Chain(engines, tuple(warnings))


def capabilities(id_: str, settings: EngineSettings) -> Abilities:
    """What this engine can do with these settings, without loading it. Raises Invalid `invalid_setting` for an unknown id."""
    return _row(id_).abilities(settings, _script(id_))


def chain_capabilities(settings: EngineSettings) -> list[Abilities]:
    """What the engines of the chain can do, for a process that runs none of them: a chosen chain is believed, not tried."""
    return [capabilities(id_, settings) for id_ in settings.engines or _chosen(settings)[0]]


def _chosen(settings: EngineSettings) -> tuple[list[str], list[str]]:
    warnings: list[str] = []
    chosen: list[str] = []
    for id_ in settings.engines or ("faster_whisper", "pocketsphinx"):
        why = _row(id_).missing(settings)
        if id_ == "pocketsphinx" and chosen:
            if settings.engines:
                warnings.append("pocketsphinx is left out: it only stands in where nothing better can run.")
        elif why is None:
            chosen.append(id_)
        else:
            warnings.append(f"{id_.partition(':')[0]} is left out. {why}")
    if chosen == ["pocketsphinx"] and not settings.engines:
        warnings.append("pocketsphinx stands in for it: English only, and modest in quality.")
    return chosen, warnings


def _row(id_: str) -> Row:
    row = ENGINES.get(id_.partition(":")[0])
    if row is None:
        raise Invalid("invalid_setting", f"{id_} is not an engine. Known: {', '.join(ENGINES)}.", param="TIRO_ENGINES")
    return row


def _script(id_: str) -> str:
    return id_.partition(":")[2]


def _nothing_missing(_: EngineSettings) -> None:
    return None


# --- faster_whisper


def _whisper_model(settings: EngineSettings) -> str:
    return whisper_models.chosen(settings.whisper_model, whisper_models.graphics_cards())


def _whisper_abilities(settings: EngineSettings, _: str) -> Abilities:
    return whisper_models.abilities(_whisper_model(settings))


def _whisper_missing(settings: EngineSettings) -> str | None:
    model = _whisper_model(settings)
    return None if whisper_models.locate(model) else whisper_models.advice(model)


def _whisper(settings: EngineSettings, _: str, __: HttpFactory) -> Engine:
    from tiro.adapters.engines.calibration.kept import folder_for
    from tiro.adapters.engines.calibration.sizes import Wishes
    from tiro.adapters.engines.faster_whisper import FasterWhisperEngine

    wishes = Wishes(
        replicas=settings.replicas,
        batch=settings.whisper_batch,
        context=None if settings.whisper_context == "auto" else settings.whisper_context,
        window_s=settings.whisper_window_s,
        measure=settings.whisper_calibrate,
    )
    return FasterWhisperEngine(
        _whisper_model(settings), whisper_models.graphics_cards(), wishes, folder_for(settings.cache)
    )


# --- pocketsphinx


def _sphinx_abilities(_: EngineSettings, __: str) -> Abilities:
    from tiro.adapters.engines.pocketsphinx import ABILITIES

    return ABILITIES


def _sphinx(settings: EngineSettings, _: str, __: HttpFactory) -> Engine:
    from tiro.adapters.engines.pocketsphinx import PocketsphinxEngine

    return PocketsphinxEngine(settings.replicas)


# --- hosted


def _openai_abilities(settings: EngineSettings, _: str) -> Abilities:
    model = public_id(settings.openai_model)
    translates = "whisper" in model and "turbo" not in model and not model.endswith("_en")
    english = model.endswith("_en")
    tasks: frozenset[Task] = frozenset({"transcribe", "translate"} if translates else {"transcribe"})
    return Abilities("openai", model, ENGLISH if english else LANGUAGES, tasks, detects=not english, max_window_s=300.0)


def _openai_missing(settings: EngineSettings) -> str | None:
    return (
        None
        if settings.openai_url
        else "Set TIRO_OPENAI_URL to a server's address (…/v1), and TIRO_OPENAI_KEY where it asks for one."
    )


def _openai(settings: EngineSettings, _: str, http: HttpFactory) -> Engine:
    from tiro.adapters.engines.openai import OpenAiEngine

    url = settings.openai_url or ""
    return OpenAiEngine(url, settings.openai_key, settings.openai_model, _openai_abilities(settings, ""), http)


def _assemblyai_abilities(_: EngineSettings, script: str) -> Abilities:
    from tiro.adapters.engines.assemblyai import abilities

    return abilities(script)


def _assemblyai_missing(settings: EngineSettings) -> str | None:
    return None if settings.assemblyai_key else "Set TIRO_ASSEMBLYAI_KEY to a key of an AssemblyAI account."


def _assemblyai(settings: EngineSettings, script: str, http: HttpFactory) -> Engine:
    from tiro.adapters.engines.assemblyai import AssemblyAiEngine

    return AssemblyAiEngine(settings.assemblyai_url, settings.assemblyai_key or "", script, http)


# --- scripted


def _scripted_abilities(_: EngineSettings, script: str) -> Abilities:
    from tiro.adapters.engines.scripted import read_script

    return read_script(script).abilities()


def _scripted(_: EngineSettings, script: str, __: HttpFactory) -> Engine:
    from tiro.adapters.engines.scripted import ScriptedEngine, read_script

    return ScriptedEngine(read_script(script))


ENGINES: dict[str, Row] = {
    "faster_whisper": Row(_whisper_abilities, _whisper_missing, _whisper),
    "pocketsphinx": Row(_sphinx_abilities, _nothing_missing, _sphinx),
    "openai": Row(_openai_abilities, _openai_missing, _openai),
    "assemblyai": Row(_assemblyai_abilities, _assemblyai_missing, _assemblyai),
    "scripted": Row(_scripted_abilities, _nothing_missing, _scripted),
}
