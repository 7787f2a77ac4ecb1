"""Who spoke when, by pyannote.audio (3.1, community-1 and the like), in a child process with torch in it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tiro.adapters.diarizers import child, turns
from tiro.adapters.diarizers.pipeline import Answer, Request
from tiro.adapters.scratch import passing_folder
from tiro.model.errors import Permanent, Transient
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import Diarization
from tiro.ports import SpanAudio

WAY_OUT = (
    "Install pyannote.audio (`.venv/bin/pip install 'tiro[diarization]'`), accept the conditions of its model at the hub and set HF_TOKEN, "
    "or download the model to a folder and set TIRO_PYANNOTE_MODEL to it."
)
_MODULE = "tiro.adapters.diarizers.pipeline"
_LOAD_S = 900.0
_DEADLINE_PER_AUDIO_S = 10.0
_MEMORY_BYTES = 4 * 1024**3
"""Between recordings the child holds a loaded pipeline, under 1 GiB on a CPU, about 2 with a GPU's libraries; more is what it has kept."""


class Pyannote:
    """One pipeline, loaded once in a child that lives on; a recording at a time. `stop` kills the child. `threads`: as many as cores."""

    id = "pyannote"

    def __init__(
        self, model: str, scratch: Path, threads: int | None = None, memory_bytes: int = _MEMORY_BYTES
    ) -> None:
        self._scratch = scratch
        # telemetry is on unless told otherwise; threads that wait for each other leave the cores to those who transcribe
        own = {"PYANNOTE_METRICS_ENABLED": "0", "OMP_WAIT_POLICY": "PASSIVE"}
        if threads is not None:
            own["OMP_NUM_THREADS"] = str(threads)
        self._child = child.Child(_MODULE, [model], child.environment(own), memory_bytes)

    def diarize(self, spans: Sequence[SpanAudio], stop: threading.Event) -> Diarization:
        """Raises Permanent `engine_unavailable` with the way out, Transient `diarizer_crash`, `diarizer_timeout`, `stopped`."""
        turns.go_on(stop)
        if not any(audio.span.speech for audio in spans):
            return turns.diarization(self.id, [])
        duration_s = max(audio.span.end_s for audio in spans)
        with passing_folder(self._scratch, "voices-") as folder, (folder / "mixed").open("wb") as file:
            for audio in turns.in_time_order(spans):
                turns.go_on(stop)
                file.seek(round(audio.span.start_s * SAMPLE_RATE_HZ) * 4)
                file.write(audio.samples().astype("<f4", copy=False).tobytes())
            file.flush()
            request = msgspec.msgpack.encode(Request(str(folder / "mixed")))
            raw = self._child.ask(request, stop, _LOAD_S + duration_s * _DEADLINE_PER_AUDIO_S)
        answer = msgspec.msgpack.decode(raw, type=Answer)
        if answer.failure == "engine_unavailable":
            raise Permanent("engine_unavailable", f"The pyannote pipeline could not be loaded. {answer.why or WAY_OUT}")
        if answer.failure:
            raise Transient(answer.failure, "The pyannote pipeline failed on this recording.")
        inside = [(max(start_s, 0.0), min(end_s, duration_s), voice) for start_s, end_s, voice in answer.stretches]
        return turns.diarization(self.id, inside)

    @property
    def pid(self) -> int | None:
        """Of the child, while it lives."""
        return self._child.pid

    def close(self) -> None:
        """End the child. Harmless when repeated."""
        self._child.close()
