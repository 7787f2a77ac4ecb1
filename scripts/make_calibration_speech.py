"""Put together what a model is spoken to at its first start, from the recordings of `tests/data`: `scripts/make_calibration_speech.py`.

The files it makes are part of the package, so only another sample needs this script.
"""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tiro.adapters.media import flac

DATA = Path("tests/data")
SAMPLE = Path("tiro/adapters/engines/calibration/speech.flac")
RATE_HZ = 16_000
DIALOGUE_TURNS = 8
WORDS_S = 20.0
GAP_S = 0.5
QUIET = 0.005
PAUSE_S = 0.3


def sound_of(path: Path) -> NDArray[np.float32]:
    """All channels in one."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", rate=RATE_HZ)
        pieces = [out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate(pieces, axis=1).sum(axis=0).clip(-1, 1).astype(np.float32)


def dialogue() -> list[tuple[str, str, NDArray[np.float32]]]:
    """The first turns of the demo."""
    sound = sound_of(DATA / "demo" / "dialogue-stereo.flac")
    turns = json.loads((DATA / "demo" / "dialogue.json").read_text())["turns"][:DIALOGUE_TURNS]
    return [
        ("dialogue", turn["text"], sound[round(turn["start_s"] * RATE_HZ) : round(turn["end_s"] * RATE_HZ)])
        for turn in turns
    ]


def words() -> list[tuple[str, str, NDArray[np.float32]]]:
    """Words in no order, from which nothing can be guessed; cut where nothing is heard between them."""
    sound = sound_of(DATA / "whisper-words" / "spoken.flac")
    texts = json.loads((DATA / "whisper-words" / "spoken.json").read_text())["text"]
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    gaps = np.flatnonzero(np.diff(loud) > PAUSE_S * RATE_HZ)
    starts = [loud[0], *loud[gaps + 1]]
    ends = [*loud[gaps], loud[-1]]
    assert len(starts) == len(texts)
    found = [("words", text, sound[a : b + 1]) for text, a, b in zip(texts, starts, ends, strict=True)]
    return [one for one, end in zip(found, ends, strict=True) if end < WORDS_S * RATE_HZ]


def main() -> None:
    """Write the sound and what is said in it."""
    gap = np.zeros(round(GAP_S * RATE_HZ), np.float32)
    pieces, turns, at = [gap], [], len(gap)
    for recording, text, sound in [*dialogue(), *words()]:
        turns.append(
            {"recording": recording, "text": text, "start_s": at / RATE_HZ, "end_s": (at + len(sound)) / RATE_HZ}
        )
        pieces += [sound, gap]
        at += len(sound) + len(gap)
    SAMPLE.write_bytes(flac.encode(np.concatenate(pieces)))
    SAMPLE.with_suffix(".json").write_text(json.dumps({"turns": turns}, indent=1) + "\n")
    print(f"{SAMPLE}: {at / RATE_HZ:.1f} s, {SAMPLE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
