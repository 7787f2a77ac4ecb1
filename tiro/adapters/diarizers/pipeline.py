"""The child that holds a pyannote pipeline: `python -m tiro.adapters.diarizers.pipeline FD MODEL` answers requests until FD is closed.

The only file that imports torch and pyannote. Audio comes as a file of float32 samples and goes in as a waveform, never as a path.
"""

from __future__ import annotations

import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tiro.adapters import checksums
from tiro.adapters.diarizers.child import serve_until_orphaned
from tiro.model.media import SAMPLE_RATE_HZ


class Request(msgspec.Struct, frozen=True):
    """Raw float32 samples at 16 kHz in a file."""

    path: str


class Answer(msgspec.Struct, frozen=True):
    """Stretches (start_s, end_s, voice), or why there are none: `engine_unavailable` (no model) or `diarizer_crash`."""

    stretches: tuple[tuple[float, float, str], ...] = ()
    failure: str | None = None


def main() -> None:
    serve_until_orphaned()
    connection = Connection(int(sys.argv[1]))
    pipeline = None
    while True:
        try:
            request = msgspec.msgpack.decode(connection.recv_bytes(), type=Request)
        except EOFError:
            return
        failure = "engine_unavailable"
        try:
            pipeline = pipeline or load(sys.argv[2])
            failure = "diarizer_crash"
            answer = Answer(stretches_of(pipeline, np.memmap(request.path, np.float32, "c")))
        except Exception:  # noqa: BLE001 - whatever goes wrong in there, the parent is told
            traceback.print_exc()
            answer = Answer(failure=failure)
        connection.send_bytes(msgspec.msgpack.encode(answer))


def load(model: str) -> Any:
    """The pipeline of a local folder (nothing is downloaded for it) or a hub name, on the GPU where there is one.

    pyannote unpickles its checkpoints, which runs what is in them: a folder's files are checked before, where they are listed.
    """
    if Path(model).is_dir():
        checksums.verify(Path(model))
    import torch
    from pyannote.audio import Pipeline

    pipeline = Pipeline.from_pretrained(config_of(model))
    if torch.cuda.is_available():
        pipeline.to(torch.device("cuda"))
    return pipeline


def stretches_of(pipeline: Any, samples: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[tuple[float, float, str], ...]:
    """Who speaks when, without overlap."""
    import torch

    with torch.inference_mode():
        found = pipeline(
            {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ, "uri": "recording"}
        )
    annotation = getattr(found, "exclusive_speaker_diarization", found)
    return tuple(
        (float(segment.start), float(segment.end), str(voice))
        for segment, _, voice in annotation.itertracks(yield_label=True)
    )


def config_of(model: str) -> dict[str, Any]:
    """The pipeline's configuration with every part named so that it is found: in the folder, or at the hub.

    A pipeline that does not use PLDA (3.1) gets an idle one; pyannote 4 would otherwise ask the hub for it.
    """
    import yaml

    folder = Path(model)
    path = folder / "config.yaml" if folder.is_dir() else folder if folder.is_file() else _from_hub(model)
    home = str(path.parent) if folder.exists() else model
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    params = {name: _found(value, home) for name, value in config["pipeline"].get("params", {}).items()}
    if "plda" not in params and params.get("clustering", "VBxClustering") != "VBxClustering":
        params["plda"] = _idle_plda()
    pipeline = config["pipeline"] | {"params": params}
    # versions are those of pyannote.audio 3 in older folders: the lock decides, not the folder
    return {name: value for name, value in config.items() if name not in {"version", "dependencies"}} | {
        "pipeline": pipeline
    }


def _found(value: Any, home: str) -> Any:
    """A part that lies in the folder (`$model/part`, a path inside, a hub name's last word) as a mapping: no name is guessed at."""
    if not isinstance(value, str):
        return value
    if value.startswith("$model/"):
        return {"checkpoint": home, "subfolder": value.removeprefix("$model/")}
    inside = [path for path in (Path(home) / value, Path(home) / value.rpartition("/")[2]) if path.exists()]
    return {"checkpoint": str(inside[0])} if inside else value


def _from_hub(model: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(model, "config.yaml"))


def _idle_plda() -> Any:
    """Never asked: the clustering compares embeddings as they are."""
    from pyannote.audio.core.plda import PLDA

    return PLDA.__new__(PLDA)


if __name__ == "__main__":
    main()
