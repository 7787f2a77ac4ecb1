"""Which Whisper model is meant, where it lies, what it can do and what it is called in transcripts; nothing is loaded here."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tiro.adapters.engines.abilities import ENGLISH, Abilities, public_id
from tiro.model.languages import LANGUAGES
from tiro.model.speech import Task

REPOSITORIES: dict[str, str] = {
    "tiny": "Systran/faster-whisper-tiny",
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "base": "Systran/faster-whisper-base",
    "base.en": "Systran/faster-whisper-base.en",
    "small": "Systran/faster-whisper-small",
    "small.en": "Systran/faster-whisper-small.en",
    "medium": "Systran/faster-whisper-medium",
    "medium.en": "Systran/faster-whisper-medium.en",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
}
_SAME = {"large": "large-v3", "turbo": "large-v3-turbo"}
_MULTILINGUAL_VOCABULARY = 51_865
_REACH_S = 2.0
FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
"""What a converted model consists of."""


class Place(msgspec.Struct, frozen=True):
    """A model that can be had: a folder that is here, or a repository of the hub that is in reach."""

    folder: Path | None
    repository: str | None


def chosen(model: str | None, gpus: int) -> str:
    """The model's name or folder; None means the best for the machine."""
    return model or ("large-v3-turbo" if gpus else "small")


def locate(model: str) -> Place | None:
    """Where the model is: its folder, the hub's cache on this machine, the hub itself; None when it cannot be had."""
    folder, repository = folder_of(model), _repository(model)
    if folder is not None:
        return Place(folder, None)
    return Place(None, repository) if repository is not None and hub_in_reach() else None


def folder_of(model: str) -> Path | None:
    """The folder of a model that is on this machine, itself or in the hub's cache."""
    if _is_model(Path(model)):
        return Path(model).absolute()
    repository = _repository(model)
    return None if repository is None else _cached(repository)


def advice(model: str) -> str:
    """How to get the model."""
    repository = REPOSITORIES.get(model, model)
    return (
        f"The Whisper model {model} is not on this machine and the model hub cannot be reached. "
        f"Where it can: `hf download {repository} --local-dir FOLDER`; then set TIRO_WHISPER_MODEL=FOLDER "
        "(a folder with model.bin, config.json, tokenizer.json and vocabulary)."
    )


def abilities(model: str) -> Abilities:
    """What the model can do, from its name or the files of its folder."""
    folder = Path(model) if _is_model(Path(model)) else None
    name = _SAME.get(model, model)
    english = not _multilingual(folder) if folder else name.endswith(".en")
    languages = ENGLISH if english else LANGUAGES if "v3" in name else LANGUAGES - {"yue"}
    only_transcribes = english or "turbo" in name or "distil" in name
    tasks: frozenset[Task] = frozenset({"transcribe"} if only_transcribes else {"transcribe", "translate"})
    return Abilities("faster_whisper", _claimed(name), languages, tasks, detects=not english)


def hub_in_reach() -> bool:
    """Whether the model hub answers a connection within two seconds."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    hub = urlsplit(constants.ENDPOINT)
    port = hub.port or (443 if hub.scheme == "https" else 80)
    answered = threading.Event()

    def call() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((hub.hostname or "", port), timeout=_REACH_S).close()
            answered.set()

    # in a thread, since looking up a name has no time limit
    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    caller.join(_REACH_S)
    return answered.is_set()


def graphics_cards() -> int:
    """How many CUDA cards this process may use."""
    cards = sum(1 for node in Path("/dev").glob("nvidia[0-9]*") if node.name[6:].isdigit())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return cards
    return min(cards, len([name for name in visible.split(",") if name.strip() not in {"", "-1"}]))


def _claimed(name: str) -> str:
    claimed = public_id(name)
    return claimed if "whisper" in claimed else f"whisper_{claimed}"


def _is_model(folder: Path) -> bool:
    return (folder / "model.bin").is_file() and (folder / "config.json").is_file()


def _repository(model: str) -> str | None:
    """Its name at the hub, where it can have one."""
    return REPOSITORIES.get(model, model if model.count("/") == 1 and not model.startswith((".", "/")) else None)


def _cached(repository: str) -> Path | None:
    from huggingface_hub import constants

    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots"
    whole = [folder for folder in snapshots.glob("*") if _is_model(folder)]
    return max(whole, key=lambda folder: folder.stat().st_mtime, default=None)


def _multilingual(folder: Path) -> bool:
    vocabulary = folder / "vocabulary.json"
    if vocabulary.is_file():
        return len(msgspec.json.decode(vocabulary.read_bytes(), type=list[str])) >= _MULTILINGUAL_VOCABULARY
    text = folder / "vocabulary.txt"
    return not text.is_file() or len(text.read_bytes().splitlines()) >= _MULTILINGUAL_VOCABULARY
