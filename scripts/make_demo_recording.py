"""Speak the demo dialogue with flite: `scripts/make_demo_recording.py [FOLDER]` writes the recordings and when each turn is said.

Needs Debian's `flite` (voices slt and rms). The files it makes are part of the project, so only a new dialogue needs this script.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from itertools import cycle
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
LEAD_S = 0.5
PAUSES_S = (0.5, 0.35, 0.65, 0.45)
"""Silence between turns, one after the other; people do not wait for equally long."""

VOICES = {"slt": 0, "rms": 1}
"""Voice -> speaker, and channel of the stereo recording."""

DIALOGUE = (
    ("slt", "Hello, and welcome. Today we are talking about the art of writing."),
    ("rms", "It is very good to be here with you today."),
    ("slt", "Tell me about your work. What do you do all day?"),
    ("rms", "I write down what people say. I have done that for twenty years."),
    ("slt", "That sounds like a long time. Did you never want to stop?"),
    ("rms", "No. Every voice is different, and every story is new to me."),
    ("slt", "What is the most important thing that you have learned?"),
    ("rms", "People need to be heard. If you listen, they will tell you everything."),
    ("slt", "Do you use a machine for your work today?"),
    ("rms", "Yes, I do. The machine is fast, but I still read every word."),
    ("slt", "Does the machine make mistakes?"),
    ("rms", "Of course it does, and I make mistakes. Together we are better."),
    ("slt", "And who are your readers? Is it a large family?"),
    ("rms", "Students, lawyers, doctors, and the children of the people who told me their stories."),
    ("slt", "Where would you like to go in the next five years?"),
    ("rms", "I would like to travel to the north and write about the winter."),
    ("slt", "Thank you very much for talking with us today."),
)


def speak(voice: str, text: str) -> NDArray[np.int16]:
    """The text in that voice, 16 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True, timeout=60)
        with wave.open(file.name) as spoken:
            return np.frombuffer(spoken.readframes(spoken.getnframes()), np.int16)


def perform() -> tuple[NDArray[np.int16], list[dict[str, object]]]:
    """The dialogue as (2, samples), one channel per speaker, and its turns."""
    channels: tuple[list[NDArray[np.int16]], ...] = ([], [])
    turns: list[dict[str, object]] = []
    at = round(LEAD_S * RATE_HZ)
    silence = np.zeros(at, np.int16)
    for channel in channels:
        channel.append(silence)
    for (voice, text), pause_s in zip(DIALOGUE, cycle(PAUSES_S), strict=False):
        spoken = speak(voice, text)
        pause = np.zeros(round(pause_s * RATE_HZ), np.int16)
        for speaker, channel in enumerate(channels):
            channel += [spoken if speaker == VOICES[voice] else np.zeros_like(spoken), pause]
        times = {"start_s": round(at / RATE_HZ, 3), "end_s": round((at + len(spoken)) / RATE_HZ, 3)}
        turns.append({"speaker": VOICES[voice], "text": text, **times})
        at += len(spoken) + len(pause)
    return np.stack([np.concatenate(channel) for channel in channels]), turns


def encode(path: Path, codec: str, layout: str, samples: NDArray[np.int16], bit_rate: int | None = None) -> None:
    """Write (channels, samples) as a sound file."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout=layout)
        stream.format = "s16p" if codec == "libmp3lame" else "s16"
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate = RATE_HZ
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=RATE_HZ)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    channels, turns = perform()
    encode(folder / "dialogue.mp3", "libmp3lame", "mono", channels.sum(axis=0, keepdims=True, dtype=np.int16), 64_000)
    encode(folder / "dialogue-stereo.flac", "flac", "stereo", channels)
    duration_s = channels.shape[1] / RATE_HZ
    story = {"duration_s": round(duration_s, 3), "speakers": len(VOICES), "turns": turns}
    (folder / "dialogue.json").write_text(json.dumps(story, indent=1) + "\n")
    print(f"{len(turns)} turns, {duration_s:.1f} s in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests/data/demo")
