"""`make demo`: the bundled two-speaker recording through the real command line, with the best engine this machine can have.

Ends with 0 when the words are right (word error rate) and, for the recording with a channel per voice, the speakers too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jiwer

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "tests" / "data" / "demo"
OUTPUT = Path("demo-output")
TIRO = Path(sys.executable).with_name("tiro")
MAX_WORD_ERROR_RATE = 0.15
BORDER_S = 0.4
"""An engine's times may be off by so much: a word this close to a turn may be of that turn."""


def main() -> None:
    """Run it, say what came out, and leave with what it was worth."""
    known = json.loads((DEMO / "dialogue.json").read_text())
    with tempfile.TemporaryDirectory(prefix="tiro-demo-") as data:
        explain(data)
        server, ready = start(data)
        try:
            faults = mixed(known, ready, data) + stereo(known, data)
        finally:
            stop(server)
    for fault in faults:
        print(f"demo: FAILED: {fault}")
    if not faults:
        print(f"demo: all right; json, srt, vtt, txt and docx are in {OUTPUT}/")
    sys.exit(bool(faults))


def explain(data: str) -> None:
    """Which engine and diarizer run here, why, and what would be better: doctor knows."""
    told = subprocess.run([TIRO, "doctor", "--data", data, "--json"], capture_output=True, text=True, check=False)
    if not told.stdout:
        sys.exit(f"demo: {told.stderr}")
    for finding in json.loads(told.stdout):
        if finding["code"] in {"engine", "diarizer"}:
            print(f"demo: {finding['code']}: {finding['text']}")
        elif finding["code"] in {"engine_left_out", "diarizer_light"}:
            print(f"demo:   note: {finding['text']}")
        elif finding["level"] == "fail":
            print(f"demo: {finding['code']}: {finding['text']} {finding['fix']}")


def start(data: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """An embedded server in a folder of its own, once it is ready."""
    print("demo: starting Tiro ...", flush=True)
    began = time.monotonic()
    server = subprocess.Popen(
        [TIRO, "up", "--data", data, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        sys.exit(f"demo: the server ended with {server.wait()}")
    ready: dict[str, Any] = json.loads(line)
    print(f"demo: up in {time.monotonic() - began:.1f} s at {ready['api']}, Temporal's UI at {ready['temporal_ui']}")
    return server, ready


def stop(server: subprocess.Popen[str]) -> None:
    """As Ctrl-C would; what does not listen is killed."""
    server.terminate()
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()


def mixed(known: dict[str, Any], ready: dict[str, Any], data: str) -> list[str]:
    """Both voices in one channel: the words are judged, the speakers shown."""
    outcome = transcribe(DEMO / "dialogue.mp3", data, ("json", "txt", "srt", "vtt", "docx"))
    print(f"\n{(OUTPUT / 'dialogue.txt').read_text()}\n")
    words = spoken(json.loads((OUTPUT / "dialogue.json").read_text()))
    reference = " ".join(turn["text"] for turn in known["turns"])
    rate = jiwer.wer(plain(reference), plain(" ".join(word["word"] for word in words)))
    speed = outcome["duration_seconds"] / outcome["took_seconds"]
    print(f"demo: dialogue.mp3: word error rate {rate:.1%}, {speed:.1f} x real time, by {outcome['engine']}")
    right = sum(word["speaker"] == who(known, word) for word in words)
    print(f"demo: dialogue.mp3: {right} of {len(words)} words have the right speaker (by {ready['diarizer']})")
    if rate > MAX_WORD_ERROR_RATE:
        return [f"the word error rate is {rate:.1%}, more than {MAX_WORD_ERROR_RATE:.0%}"]
    return []


def stereo(known: dict[str, Any], data: str) -> list[str]:
    """A voice per channel: every word has the right speaker."""
    transcribe(DEMO / "dialogue-stereo.flac", data, ("json",))
    words = spoken(json.loads((OUTPUT / "dialogue-stereo.json").read_text()))
    wrong = [word for word in words if not said_by(known, word)]
    print(f"demo: dialogue-stereo.flac: {len(words) - len(wrong)} of {len(words)} words have the right speaker")
    if wrong or not words:
        return [f"{len(wrong)} of {len(words)} words of the stereo recording have the wrong speaker"]
    return []


def transcribe(file: Path, data: str, formats: tuple[str, ...]) -> dict[str, Any]:
    """Through `tiro transcribe`, as a person would."""
    wishes = [piece for form in formats for piece in ("--format", form)]
    command = [TIRO, "transcribe", file, "--data", data, "--language", "en", *wishes, "-o", f"{OUTPUT}/", "--json"]
    OUTPUT.mkdir(exist_ok=True)
    print(f"demo: transcribing {file.name} ...", flush=True)
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    outcome: dict[str, Any] = json.loads(told.stdout) if told.stdout else {"message": "no answer"}
    if told.returncode:
        raise SystemExit(f"demo: {file.name}: {outcome['message']}")
    return outcome


def spoken(transcript: dict[str, Any]) -> list[dict[str, Any]]:
    return [word for segment in transcript["segments"] for word in segment["words"]]


def plain(text: str) -> str:
    """As words are compared: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def said_by(known: dict[str, Any], word: dict[str, Any]) -> bool:
    """Whether this speaker was speaking at any moment of the word, or a little before or after it."""
    return any(
        word["speaker"] == f"speaker_{turn['speaker']}"
        and word["start"] < turn["end_s"] + BORDER_S
        and word["end"] > turn["start_s"] - BORDER_S
        for turn in known["turns"]
    )


def who(known: dict[str, Any], word: dict[str, Any]) -> str:
    """Whose turn lies nearest to the middle of the word."""
    middle_s = (word["start"] + word["end"]) / 2
    nearest = min(known["turns"], key=lambda turn: max(turn["start_s"] - middle_s, middle_s - turn["end_s"], 0.0))
    return f"speaker_{nearest['speaker']}"


if __name__ == "__main__":
    main()
