"""How well does the light diarizer tell voices apart? `bench/diarization.py` prints one diarization error rate per case.

Speaks its own recordings with Debian's `flite` (synthetic voices: easier than people in a room), finds speech with the voice activity
detection that ships with faster-whisper, and scores with pyannote.metrics, collar 0.25 s on each side of a border.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import wave
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate

from tiro.adapters.diarizers.acoustic import Acoustic
from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.model.speech import Diarization

TARGET = 0.15
TURNS = 16
CASES = (
    ("slt", "rms"),
    ("rms", "awb"),
    ("slt", "kal16"),
    ("slt", "rms", "awb"),
    ("slt", "awb", "kal16"),
    ("slt", "rms", "awb", "kal16"),
    ("slt",),
    ("rms",),
    ("awb",),
    ("kal16",),
)
SENTENCES = (
    "The council will meet again on Thursday to vote on the new bridge.",
    "I did not expect the train to be that late in the evening.",
    "Can you tell me where the nearest post office is?",
    "We planted forty trees along the river last spring, and most of them are still alive.",
    "No, I do not think so.",
    "The price of bread has gone up three times this year.",
    "She kept the letters in a wooden box under the stairs.",
    "That is an interesting question, and I am not sure that there is one answer.",
    "Yes, of course.",
    "When the power came back, nobody in the building moved for a while.",
    "He used to work in the harbour before the storm.",
    "My brother paints houses, and I repair the roofs.",
    "What happened after that?",
    "They asked us to wait outside until the judge had read the whole file.",
    "It rained for nine days, so we stayed in the village and played cards.",
    "The first version was slow, but the second one surprised everybody.",
    "Please sign here, and write the date below your name.",
    "I would rather walk than sit in that car for another hour.",
    "Nobody knows how old the church is.",
    "Good. Let us begin with the numbers from the last quarter.",
)


class Audio:
    """A span that lies in memory."""

    def __init__(self, span: Span, samples: np.ndarray) -> None:
        self.span = span
        self._samples = samples

    def samples(self) -> np.ndarray:
        return self._samples


@cache
def speak(voice: str, text: str) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True, timeout=60)
        with wave.open(file.name) as spoken:
            return np.frombuffer(spoken.readframes(spoken.getnframes()), np.int16).astype(np.float32) / 32768


def conversation(voices: tuple[str, ...], seed: int) -> tuple[np.ndarray, Annotation]:
    """A mono mix in which nobody answers himself (unless alone), and who spoke when."""
    chance = random.Random(seed)
    truth, pieces, at, last = Annotation(), [np.zeros(8_000, np.float32)], 8_000, ""
    for _ in range(TURNS):
        last = chance.choice([voice for voice in voices if voice != last] or list(voices))
        spoken = np.concatenate([speak(last, text) for text in chance.sample(SENTENCES, chance.choice((1, 1, 2)))])
        pause = np.zeros(chance.randrange(2_000, 12_000), np.float32)
        truth[Segment(at / SAMPLE_RATE_HZ, (at + len(spoken)) / SAMPLE_RATE_HZ)] = last
        pieces += [spoken, pause]
        at += len(spoken) + len(pause)
    noise = np.random.default_rng(seed).normal(0, 0.001, at).astype(np.float32)
    return np.concatenate(pieces) + noise, truth


def spans_of(samples: np.ndarray, span_s: float = 60.0) -> list[Audio]:
    """Spans of about a minute with the speech inside, cut where nobody speaks."""
    found = get_speech_timestamps(samples, VadOptions(min_silence_duration_ms=200, speech_pad_ms=60))
    speech = [(piece["start"] / SAMPLE_RATE_HZ, piece["end"] / SAMPLE_RATE_HZ) for piece in found]
    cuts = [0.0]
    for (_, end_s), (start_s, _) in pairwise(speech):
        if start_s - cuts[-1] > span_s:
            cuts.append((end_s + start_s) / 2)
    cuts.append(len(samples) / SAMPLE_RATE_HZ)
    spans = []
    for index, (start_s, end_s) in enumerate(pairwise(cuts)):
        inside = tuple(piece for piece in speech if start_s <= piece[0] and piece[1] <= end_s)
        first, last = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
        spans.append(Audio(Span(index, 0, start_s, end_s, inside), samples[first:last]))
    return spans


def error_rate(truth: Annotation, found: Diarization) -> float:
    guess = Annotation()
    for turn in found.turns:
        guess[Segment(turn.start_s, turn.end_s)] = turn.speaker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(DiarizationErrorRate(collar=0.5)(truth, guess))


def main() -> int:
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(lambda job: speak(*job), [(v, text) for v in ("slt", "rms", "awb", "kal16") for text in SENTENCES])
        )
    worst = 0.0
    for seed, voices in enumerate(CASES):
        samples, truth = conversation(voices, seed)
        audio = spans_of(samples)
        started = time.monotonic()
        found = Acoustic().diarize(audio, threading.Event())
        speed = len(samples) / SAMPLE_RATE_HZ / (time.monotonic() - started)
        rate = error_rate(truth, found)
        worst = max(worst, rate)
        print(
            f"{'+'.join(voices):<20} DER {rate:6.1%}   speakers {found.speakers} of {len(voices)}   {speed:.0f} x real time"
        )
    print(f"worst {worst:.1%}, target {TARGET:.0%}, {time.monotonic() - began:.0f} s")
    return 0 if worst <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
