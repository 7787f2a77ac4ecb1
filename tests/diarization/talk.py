"""People who talk: several of flite's voices with pauses, a long silence, one who speaks alone, and some who speak at once."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from functools import cache

import numpy as np

from tiro.model.media import SAMPLE_RATE_HZ

Turn = tuple[float, float, int]
"""(start_s, end_s, voice)."""

VOICES = ("slt", "rms", "awb", "kal16")
_SENTENCES = (
    "The council will meet again on Thursday to vote on the new bridge.",
    "I did not expect the train to be that late in the evening.",
    "We planted forty trees along the river last spring.",
    "No, I do not think so.",
    "She kept the letters in a wooden box under the stairs.",
    "Nobody knows how old the church is.",
)


@cache
def speak(voice: str, text: str) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True, timeout=60)
        with wave.open(file.name) as spoken:
            return np.frombuffer(spoken.readframes(spoken.getnframes()), np.int16).astype(np.float32) / 32768


def talk(
    duration_s: float, silences: tuple[tuple[float, float], ...] = (), seed: int = 0
) -> tuple[np.ndarray, list[Turn]]:
    """Mono at 16 kHz, and who spoke when. After every third turn the next begins before it has ended."""
    chance = np.random.default_rng(seed)
    samples = np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    truth: list[Turn] = []
    at_s, last = 0.5, -1
    while at_s < duration_s - 1:
        pause_end_s = next((end_s for start_s, end_s in silences if start_s - 3 < at_s < end_s), None)
        if pause_end_s is not None:
            at_s = pause_end_s
            continue
        last = int(chance.choice([voice for voice in range(len(VOICES)) if voice != last]))
        spoken = speak(VOICES[last], _SENTENCES[int(chance.integers(len(_SENTENCES)))])
        begin = round(at_s * SAMPLE_RATE_HZ)
        spoken = spoken[: len(samples) - begin]
        samples[begin : begin + len(spoken)] += spoken
        end_s = at_s + len(spoken) / SAMPLE_RATE_HZ
        truth.append((at_s, end_s, last))
        at_s = end_s + (-0.8 if len(truth) % 3 == 0 else float(chance.uniform(0.1, 0.8)))
    return samples, truth
