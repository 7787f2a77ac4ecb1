"""What is there to be heard? Sentences of four voices with pauses as people make them, and the words that were said.

Random sentences of the words that the bundled model knows, spoken by `flite`: other ones than it was trained on. About three
quarters of a recording are speech. Made once, kept as FLAC (16 kHz, mono, 16 bits) in the user's cache. Where `flite` is missing,
the 29 sentences of the bundled recording take the place of new ones, again and again.
"""

from __future__ import annotations

import io
import json
import os
import random
import runpy
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from tiro.adapters.media import flac
from tiro.model.media import SAMPLE_RATE_HZ

MODEL = Path(__file__).parents[1] / "tests" / "data" / "whisper-words"
VERSION = "v1"
"""Part of the names in the cache: to be raised when what is made changes."""
_VOICES = ("slt", "rms", "awb", "kal16")
_POOL = 600
"""Sentences: ten minutes need about 190, an hour says each about twice."""
_GAP_S = 0.3
_EDGE_S = 0.04
_QUIET = 40
_HISS = 2e-4

Pcm = np.ndarray


@dataclass(frozen=True)
class Sentence:
    """16 bits at 16 kHz, without the silence around it."""

    text: str
    sound: Pcm


@dataclass(frozen=True)
class Recording:
    """A file, and what is said in it."""

    path: Path
    words: tuple[str, ...]
    seconds: float


def cache() -> Path:
    """Where what was made is kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "tiro" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def recording(seconds: int, number: int = 0) -> Recording:
    """One of this length. Another `number`: another one."""
    return _kept(cache() / f"{VERSION}-{_source()}-{seconds}s-{number}.flac", seconds, number)


def recordings(count: int, seconds: int = 12) -> list[Recording]:
    """So many short ones, all different."""
    folder = cache() / f"{VERSION}-{_source()}-{seconds}s"
    folder.mkdir(exist_ok=True)
    return [_kept(folder / f"{number:05d}.flac", seconds, number) for number in range(count)]


def _source() -> str:
    return "flite" if shutil.which("flite") else "bundled"


def _kept(path: Path, seconds: int, number: int) -> Recording:
    beside = path.with_suffix(".json")
    if not beside.exists():
        words, sound = _composed(seconds, random.Random(f"{seconds}/{number}"))
        _put(path, flac.encode(sound))
        _put(beside, json.dumps(words).encode())
    return Recording(path, tuple(json.loads(beside.read_text())), float(seconds))


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all: another run may make the same at this moment."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def _composed(seconds: int, chance: random.Random) -> tuple[list[str], Pcm]:
    """Sentences at natural distances until the time is full, over a faint hiss; the last ends before the end."""
    pool, whole = _pool(), seconds * SAMPLE_RATE_HZ
    hiss = np.random.default_rng(chance.getrandbits(32)).standard_normal(whole, dtype=np.float32)
    sound, words, at = hiss * np.float32(_HISS), [], int(chance.uniform(0.1, 0.6) * SAMPLE_RATE_HZ)
    order = chance.sample(range(len(pool)), len(pool))
    for turn in range(whole):
        one = pool[order[turn % len(order)]]
        if at + len(one.sound) > whole - int(_EDGE_S * SAMPLE_RATE_HZ):
            break
        sound[at : at + len(one.sound)] += one.sound.astype(np.float32) / 32768 * chance.uniform(0.5, 0.9)
        words += one.text.split()
        pause_s = chance.uniform(0.3, 0.9) if chance.random() < 0.85 else chance.uniform(1.0, 3.0)
        at += len(one.sound) + int(pause_s * SAMPLE_RATE_HZ)
    return words, sound


_made: list[Sentence] = []


def _pool() -> Sequence[Sentence]:
    if not _made:
        _made.extend(_stored() if _source() == "flite" else _bundled())
    return _made


def _stored() -> Iterator[Sentence]:
    path = cache() / f"{VERSION}-sentences.npz"
    if not path.exists():
        print(f"bench: flite speaks {_POOL} sentences, once ...", flush=True)
        spoken = _spoken(_POOL)
        data = io.BytesIO()
        ends = np.cumsum([len(one.sound) for one in spoken])
        np.savez(
            data, sound=np.concatenate([one.sound for one in spoken]), ends=ends, texts=[one.text for one in spoken]
        )
        _put(path, data.getvalue())
    with np.load(path) as kept:
        sounds = np.split(kept["sound"], kept["ends"][:-1])
        yield from (Sentence(str(text), sound) for text, sound in zip(kept["texts"], sounds, strict=True))


def _spoken(count: int) -> list[Sentence]:
    chance = random.Random("bench")
    sentence = runpy.run_path(str(MODEL / "corpus.py"))["sentence"]
    orders = [(sentence(chance), chance.choice(_VOICES), chance.uniform(0.9, 1.2)) for _ in range(count)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda order: _speak(*order), orders))


def _speak(text: str, voice: str, stretch: float) -> Sentence:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        slower = ["--setf", f"duration_stretch={stretch:.2f}"]
        subprocess.run(["flite", "-voice", voice, *slower, "-t", text, "-o", file.name], check=True)
        with wave.open(file.name) as told:
            return Sentence(text, _bare(np.frombuffer(told.readframes(told.getnframes()), np.int16)))


def _bundled() -> Iterator[Sentence]:
    """The bundled recording, cut where nothing is heard between its sentences."""
    with av.open(str(MODEL / "spoken.flac")) as container:
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > _QUIET)
    gaps = np.flatnonzero(np.diff(loud) > _GAP_S * SAMPLE_RATE_HZ)
    cuts = [(loud[gap] + loud[gap + 1]) // 2 for gap in gaps]
    texts = json.loads((MODEL / "spoken.json").read_text())["text"]
    yield from (Sentence(text, _bare(piece)) for text, piece in zip(texts, np.split(sound, cuts), strict=True))


def _bare(sound: Pcm) -> Pcm:
    """Without the silence before and after."""
    loud, edge = np.flatnonzero(np.abs(sound.astype(np.int32)) > _QUIET), int(_EDGE_S * SAMPLE_RATE_HZ)
    return sound[max(0, loud[0] - edge) : loud[-1] + edge]
