"""Speak N random sentences with flite: `synth.py N SEED NAME` writes NAME.npz (int16 at 16 kHz, texts, times of the words)."""

import os
import random
import subprocess
import sys
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from corpus import NUM, WORDS, sentence

VOICES = ["slt", "rms", "awb", "kal16"]


def phones(arguments):
    """Each phone that flite speaks with its end in seconds, and the audio."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", *arguments, "-psdur", "-o", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        with wave.open(file.name) as w:
            audio = np.frombuffer(w.readframes(w.getnframes()), np.int16)
    return [(p, float(end)) for p, end in (s.rsplit(":", 1) for s in said)], audio


def word_times(spoken, words, sizes, seconds):
    """(begin, end) of every word from the ends of the phones; None where they do not add up."""
    last = spoken[-1][1]
    spans, begin = [], 0.0
    for phone, end in spoken:
        if phone != "pau":
            spans.append((begin * seconds / last, end * seconds / last))
        begin = end
    if len(spans) != sum(sizes[w] for w in words):
        return None
    cuts = np.cumsum([0] + [sizes[w] for w in words])
    return [(spans[a][0], spans[b - 1][1]) for a, b in pairwise(cuts)]


def speak(job):
    text, voice, stretch, sizes = job
    spoken, audio = phones(["-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-t", text])
    return audio, word_times(spoken, text.split(), sizes[voice], len(audio) / 16000)


def main(n, seed, name):
    r = random.Random(seed)
    alone = {v: {w: sum(p != "pau" for p, _ in phones(["-voice", v, "-t", w])[0]) for w in NUM + WORDS} for v in VOICES}
    jobs = [(sentence(r), r.choice(VOICES), r.uniform(0.9, 1.2), alone) for _ in range(n)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        spoken = list(pool.map(speak, jobs))
    kept = [(job[0], audio, times) for job, (audio, times) in zip(jobs, spoken, strict=True) if times]
    np.savez(
        Path(name).with_suffix(".npz"),
        audio=np.concatenate([audio for _, audio, _ in kept]),
        ends=np.cumsum([len(audio) for _, audio, _ in kept]),
        texts=[text for text, _, _ in kept],
        times=np.concatenate([times for _, _, times in kept]),
    )
    print(len(kept), "sentences of", n, "-", round(sum(len(audio) for _, audio, _ in kept) / 16000 / 3600, 2), "h")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
