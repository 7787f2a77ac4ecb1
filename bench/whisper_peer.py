"""The peer that hears: faster-whisper as its users run it, in a process of its own, its model loaded and warm.

`Peer.start()` speaks to `python -m bench.whisper_peer`, one JSON object a line each way. Ways: `plain` (WhisperModel.transcribe
with its voice filter), `batched` (BatchedInferencePipeline, eight windows at once), `loop` (WhisperModel.transcribe, its defaults).
All with word times; a model takes as many threads as there are cores. `plain` does not condition on the text before: the
bundled model was not taught to, and loses its way.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.turns import Cost, costing

BATCH = 8


class Peer:
    """Asks the process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, way: str, paths: Sequence[Path]) -> list[list[str]]:
        """The words of each file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"way": way, "paths": [str(path) for path in paths]}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peer ended by itself")
        words: list[list[str]] = json.loads(line)
        return words

    def costed(self, way: str, paths: Sequence[Path]) -> Cost:
        """What that takes."""
        with costing(self.pid) as cost:
            heard = self.hear(way, paths)
        cost.words = [word for words in heard for word in words]
        return cost


@contextlib.contextmanager
def peer(model: Path | str) -> Iterator[Peer]:
    """A process with this model loaded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.whisper_peer", str(model)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Peer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _ways(model: str) -> dict[str, Callable[[str], list[str]]]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    whisper = WhisperModel(
        model, device="cpu", compute_type="int8", cpu_threads=len(os.sched_getaffinity(0)), local_files_only=True
    )
    batching = BatchedInferencePipeline(whisper)
    asked: dict[str, Any] = {"language": "en", "word_timestamps": True}

    def words(heard: Any) -> list[str]:
        return [word.word.strip() for segment in heard[0] for word in segment.words]

    return {
        "plain": lambda path: words(
            whisper.transcribe(path, vad_filter=True, condition_on_previous_text=False, **asked)
        ),
        "batched": lambda path: words(batching.transcribe(path, batch_size=BATCH, **asked)),
        "loop": lambda path: words(whisper.transcribe(path, **asked)),
    }


def main() -> None:
    ways = _ways(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps([ways[asked["way"]](path) for path in asked["paths"]]), flush=True)


if __name__ == "__main__":
    main()
